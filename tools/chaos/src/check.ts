import { type ChaosModule } from './chaos-module.ts';
import { checkMessages } from './check-messages.ts';
import { type LoggedRequest } from './client-log.ts';
import { type Facts } from './facts.ts';
import { type FaultWindows, type Violation } from './violation.ts';

/** Violations of these rules do not disappear with time. */
const permanent = [
  'no message is published twice',
  'in order per subject',
  'a saga step runs once',
  'no dead letters',
];

export const isPermanent = ({ rule }: Violation, { permanentRules }: ChaosModule): boolean =>
  permanent.includes(rule) || permanentRules.includes(rule);

/** Checks the rules of the platform, and those of the product. A pure function. */
export function check(
  module: ChaosModule,
  requests: readonly LoggedRequest[],
  facts: Facts,
  faultWindows: FaultWindows,
): Violation[] {
  return [
    ...module.check(requests, facts, faultWindows),
    ...checkSagas(facts),
    ...checkMessages(facts, module),
    ...checkRebuilds(facts),
  ];
}

function checkSagas({ sagas }: Facts): Violation[] {
  return sagas.flatMap(({ name, key, steps, ended }) => {
    const detail = `${name}: ${steps.join(', ')}`;
    return [
      ...(ended ? [] : [{ rule: 'a saga ends', subject: key, detail }]),
      ...(new Set(steps).size < steps.length
        ? [{ rule: 'a saga step runs once', subject: key, detail }]
        : []),
    ];
  });
}

/** Checks that a rebuild of a read model changes nothing. */
function checkRebuilds({ rebuilt }: Facts): Violation[] {
  return rebuilt.flatMap(({ service, name, rows, differ, fault }) =>
    differ.length === 0 && !fault
      ? []
      : {
          rule: 'a rebuilt read model is identical',
          detail: `${name} of ${service}: ${fault ?? `${differ.length} of ${rows} rows differ: ${differ[0]}`}`,
        },
  );
}

/** All facts about one subject, for the analysis of a violation. */
export function collectEvidence(
  module: ChaosModule,
  subject: string,
  requests: readonly LoggedRequest[],
  facts: Facts,
): unknown[] {
  return [
    ...module.collectEvidence(subject, requests, facts),
    ...facts.sagas.filter(({ key }) => key === subject).map((saga) => ({ saga })),
    ...facts.outbox.filter((row) => row.subject === subject).map((outbox) => ({ outbox })),
    ...facts.deadLetters.filter(({ payload }) => payload.includes(subject)).map((dead) => ({ dead })),
  ];
}
