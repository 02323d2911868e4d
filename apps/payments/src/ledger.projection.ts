import { projection } from '@jogakbo/consistency';
import { createPostings } from './ledger.ts';
import { evolve, payment, toPaymentId } from './payment.ts';

/** Triggers reject unbalanced postings and all changes to existing entries, even from direct SQL. */
const tables = `
  CREATE TABLE payment (
    payment_id uuid PRIMARY KEY,
    order_id uuid NOT NULL UNIQUE,
    status text NOT NULL,
    member_id uuid,
    amount bigint CHECK (amount >= 0),
    currency char(3),
    CHECK (status = 'returned' OR num_nulls(member_id, amount, currency) = 0)
  );

  CREATE TABLE ledger_entry (
    payment_id uuid NOT NULL REFERENCES payment,
    order_id uuid NOT NULL,
    transaction integer NOT NULL,
    account text NOT NULL,
    amount bigint NOT NULL CHECK (amount <> 0),
    currency char(3) NOT NULL,
    at timestamptz NOT NULL,
    PRIMARY KEY (payment_id, transaction, account)
  );
  CREATE UNIQUE INDEX one_capture_and_one_refund ON ledger_entry (payment_id, account, (amount > 0));

  CREATE FUNCTION refuse_unbalanced_posting() RETURNS trigger LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
  BEGIN
    IF EXISTS (SELECT FROM ledger_entry WHERE payment_id = NEW.payment_id AND transaction = NEW.transaction
               GROUP BY currency HAVING sum(amount) <> 0) THEN
      RAISE EXCEPTION 'transaction % of payment % does not balance', NEW.transaction, NEW.payment_id
        USING ERRCODE = 'check_violation';
    END IF;
    RETURN NULL;
  END $$;
  CREATE CONSTRAINT TRIGGER ledger_balances AFTER INSERT ON ledger_entry
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION refuse_unbalanced_posting();

  CREATE FUNCTION refuse_rewriting() RETURNS trigger LANGUAGE plpgsql AS $$
  BEGIN
    RAISE EXCEPTION 'the ledger is only added to' USING ERRCODE = 'check_violation';
  END $$;
  CREATE TRIGGER ledger_is_only_added_to BEFORE UPDATE OR DELETE OR TRUNCATE ON ledger_entry
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_rewriting();
`;

/** The current state of all payments, and the ledger: two lines per movement of money. */
export const ledger = projection('ledger', 1, tables).of(payment, async (tx, { id, version, event }) => {
  const paymentId = toPaymentId(id);
  if (event.type === 'authorized' || event.type === 'declined' || event.type === 'returned') {
    const { status, memberId = null, amount } = evolve(undefined, event);
    await tx.query(
      `INSERT INTO payment (payment_id, order_id, status, member_id, amount, currency)
       VALUES ($1, $2, $3, $4, $5, $6)
       ON CONFLICT (payment_id) DO UPDATE SET status = $3, member_id = $4, amount = $5, currency = $6`,
      [paymentId, id, status, memberId, amount?.amount ?? null, amount?.currency ?? null],
    );
    return;
  }
  const [[known]] = (await tx.query(
    'UPDATE payment SET status = $2 WHERE payment_id = $1 RETURNING amount, currency',
    [paymentId, event.type],
  )) as [[{ amount: string; currency: string }], number];
  if (event.type === 'voided') return;
  const money = { amount: Number(known.amount), currency: known.currency };
  await tx.query(
    `INSERT INTO ledger_entry
     SELECT $1, $2, $3, account, amount, currency, $4
     FROM json_to_recordset($5) AS posting (account text, amount bigint, currency text)`,
    [paymentId, id, version, event.at, JSON.stringify(createPostings(event.type, money))],
  );
});
