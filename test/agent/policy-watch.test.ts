// SPDX-License-Identifier: Apache-2.0
// Policies that are not in force as written: told when it begins and when it ends.
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { openLog } from '../../src/agent/log.ts';
import { type PolicyWatch, watchPolicies } from '../../src/agent/policy-watch.ts';
import { defaultAuthzOptions } from '../../src/compile/authz/holding.ts';
import { apply, emptyModel } from '../../src/mesh/apply.ts';
import type { Change, Model } from '../../src/mesh/model.ts';
import { emptyMatch, type Policy, refusedPolicy } from '../../src/mesh/policy.ts';

let watch: PolicyWatch;
let model: Model;
let log: string;

const open = (options = defaultAuthzOptions): void => {
  const to = {
    write(text: string) {
      log += text;
    },
  };
  watch = watchPolicies(options, openLog(to, 'info', {}), 10);
};
beforeEach(() => {
  vi.useFakeTimers();
  model = emptyModel;
  log = '';
  open();
});
afterEach(() => {
  watch.close();
  vi.useRealTimers();
});

const policy = (name: string, more: Partial<Policy> = {}): Policy => ({
  ...{ name, namespace: 'shop', scope: 'namespace', action: 'deny', dryRun: false },
  ...{ rules: [[[{ ...emptyMatch, destinationPorts: [80] }]]], ...more },
});
const put = (one: Policy): Change => ({ kind: 'put-policy', policy: one });
function change(...changes: readonly Change[]): void {
  model = apply(model, changes).model;
  watch.look(model);
  vi.advanceTimersByTime(10);
}
const events = () =>
  [...log.matchAll(/"event":"(\w+)","policy":"([^"]+)"/g)].map(([, event, name]) => `${event} ${name}`);

test('good policies are no news; what is wrong is told once, and its end', () => {
  change(put(policy('good')));
  expect(log).toBe('');
  change(
    put(refusedPolicy(policy('bad'), 'no such field')),
    put(policy('old', { fault: { kind: 'stale', reason: 'x' } })),
  );
  change(put(policy('other')));
  expect(events()).toEqual(['policy_refused shop/bad', 'policy_stale shop/old']);
  expect(log).toContain('no such field');
  expect([...watch.faults.refused]).toEqual([['shop/bad', 'no such field']]);
  change(put(policy('bad')), { kind: 'remove-policy', key: 'shop/old' });
  expect(events().slice(2)).toEqual(['policy_refused_over shop/bad', 'policy_stale_over shop/old']);
  expect(watch.faults.refused.size + watch.faults.stale.size).toBe(0);
});

test('a DENY that rests on HTTP attributes is told in capitals, and with the option for it counts as refused', () => {
  const http = policy('http', { rules: [[[emptyMatch]]] });
  change(put(http));
  expect(log).toContain('DENIES LESS THAN IT SAYS');
  expect(log).toContain('"event":"policy_denies_less","policy":"shop/http","reason":"spec.rules[0]"');
  expect([...watch.faults.deniesLess.keys()]).toEqual(['shop/http']);
  watch.close();
  open({ ...defaultAuthzOptions, strictL7Deny: true });
  change(put(policy('more')));
  expect([...watch.faults.refused.keys()]).toEqual(['shop/http']);
  expect(watch.faults.deniesLess.size).toBe(0);
});

test('with the option for it a stale policy is a refused one', () => {
  watch.close();
  open({ ...defaultAuthzOptions, onBadPolicy: 'close' });
  change(put(policy('old', { fault: { kind: 'stale', reason: 'x' } })));
  expect([...watch.faults.refused.keys()]).toEqual(['shop/old']);
});

test('of very many only the first are told one by one', () => {
  change(...Array.from({ length: 50 }, (_, i) => put(refusedPolicy(policy(`p${i}`), 'x'))));
  expect(events()).toHaveLength(20);
  expect(log).toContain('"more":30');
});
