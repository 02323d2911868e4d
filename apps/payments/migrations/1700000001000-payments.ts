import type { MigrationInterface, QueryRunner } from 'typeorm';

export class Payments1700000001000 implements MigrationInterface {
  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`
      CREATE TABLE payment (
        payment_id uuid PRIMARY KEY,
        order_id uuid NOT NULL UNIQUE,
        status text NOT NULL
          CHECK (status IN ('authorized', 'declined', 'captured', 'voided', 'refunded', 'returned')),
        -- NULL where the order was over before anything was authorized for it
        member_id uuid,
        amount bigint CHECK (amount >= 0),
        currency char(3),
        provider_reference text,
        reason text,
        version integer NOT NULL,
        created_at timestamptz NOT NULL DEFAULT now(),
        updated_at timestamptz NOT NULL DEFAULT now(),
        CHECK (status = 'returned' OR num_nulls(member_id, amount, currency) = 0),
        CHECK (status IN ('returned', 'declined') OR provider_reference IS NOT NULL)
      );

      CREATE TABLE ledger_entry (
        entry_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
        transaction_id uuid NOT NULL,
        payment_id uuid NOT NULL REFERENCES payment,
        order_id uuid NOT NULL,
        account text NOT NULL,
        amount bigint NOT NULL CHECK (amount <> 0),
        currency char(3) NOT NULL,
        at timestamptz NOT NULL DEFAULT now()
      );
      CREATE INDEX ledger_entry_transaction ON ledger_entry (transaction_id);
      CREATE UNIQUE INDEX one_capture_and_one_refund ON ledger_entry (payment_id, account, (amount > 0));

      CREATE FUNCTION refuse_unbalanced_posting() RETURNS trigger LANGUAGE plpgsql AS $$
      BEGIN
        IF EXISTS (SELECT FROM ledger_entry WHERE transaction_id = NEW.transaction_id
                   GROUP BY currency HAVING sum(amount) <> 0) THEN
          RAISE EXCEPTION 'ledger transaction % does not balance', NEW.transaction_id
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

      CREATE TABLE sandbox_charge (
        idempotency_key text PRIMARY KEY,
        reference text NOT NULL UNIQUE,
        status text NOT NULL
          CHECK (status IN ('pending', 'authorized', 'declined', 'captured', 'voided', 'refunded')),
        reason text,
        -- NULL where the key was cancelled before it was charged
        amount bigint,
        currency text,
        calls integer NOT NULL DEFAULT 1,
        decided_at timestamptz NOT NULL DEFAULT now()
      );
    `);
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query(`
      DROP TABLE sandbox_charge, ledger_entry, payment;
      DROP FUNCTION refuse_rewriting, refuse_unbalanced_posting;
    `);
  }
}
