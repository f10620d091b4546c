// SPDX-License-Identifier: Apache-2.0
// Whether a connection gets in, and why.
import { socketAddressText } from '../../net/socket-address.ts';
import type { Because, PolicyExplanation } from '../../tasks/authz/explain.ts';
import type { Block, Cell } from '../spec.ts';
import { nearestLines, whyText, wrongDocuments } from './authz-words.ts';

const reasons: Readonly<Record<Exclude<Because, 'policies' | 'closed'>, string>> = {
  pending: 'pending: no policies are known for it yet, and nothing gets in',
  host: "an address of this node: exempt, so that probes of the kubelet work (the agent's --authz-host-probes)",
  own: "the pod's own traffic is not judged",
  'unknown-source': 'nobody has said yet who has this address: refused until that is known',
  'not-judged': 'no pod whose connections are judged has this address',
};

function whyOf({ because, told, to }: PolicyExplanation): string {
  if (because === 'not-judged' && to.enforcement === 'off') return 'its inbound connections are not judged';
  if (because !== 'policies' && because !== 'closed') return reasons[because];
  if (because === 'closed' && told?.why !== 'closed') {
    const by = told?.by === undefined ? '' : ` by ${told.by.policy}`;
    return `closed${by}: something is wrong with a policy that holds for it, and nothing gets in`;
  }
  return told ? whyText(told) : '';
}

function facts(explanation: PolicyExplanation): [string, Cell][] {
  const { from, to, verdict, because, principal, told, agent } = explanation;
  const tone = verdict === 'allow' ? 'good' : 'bad';
  const at = `${socketAddressText(to.address, to.port)}${to.protocol === 'udp' ? '/udp' : ''}`;
  const rows: [string, Cell][] = [
    ['from', from.workload === '' ? from.address : `${from.workload} ${from.address}`],
    ['to', to.workload === '' ? at : `${to.workload} ${at}`],
  ];
  const nobody = agent ? 'none' : 'none that is known';
  if (told !== undefined) rows.push(['identity', principal || { text: nobody, tone: 'dim' }]);
  if (to.enforcement !== undefined) rows.push(['enforcement', to.enforcement]);
  rows.push(['verdict', { text: verdict, tone }]);
  rows.push(['why', whyOf(explanation)]);
  const nearest = told && because === 'policies' ? nearestLines(told) : [];
  for (const line of nearest) rows.push(['nearest', line]);
  if (because === 'policies' && told?.why === 'no-match' && nearest.length === 0) {
    rows.push(['nearest', 'none: its ALLOW policies have no rule that can match']);
  }
  if (told?.dryRun) {
    const { dryRun } = told;
    rows.push(['with dry runs', { text: `${dryRun.verdict}: ${whyText(dryRun)}`, tone: 'warn' }]);
  }
  // The first is named by the verdict already.
  const named = told?.why === 'closed' ? told.by?.policy : undefined;
  const closed = explanation.closed.filter(({ policy }) => policy !== named);
  for (const { policy, reason } of closed) rows.push(['closed by', { text: `${policy}: ${reason}`, tone: 'bad' }]);
  for (const policy of explanation.stale) {
    rows.push(['stale', { text: `${policy}: a later version is refused, and this one stays in force`, tone: 'warn' }]);
  }
  for (const note of explanation.notes) rows.push(['note', { text: note, tone: 'warn' }]);
  return rows;
}

export function* viewPolicyExplanation(explanations: readonly PolicyExplanation[]): Generator<Block> {
  for (const [at, explanation] of explanations.entries()) {
    if (at > 0) yield { kind: 'line', text: '' };
    yield { kind: 'facts', rows: facts(explanation) };
  }
  if (explanations.some(({ closed, stale }) => closed.length + stale.length > 0)) {
    yield { kind: 'line', text: wrongDocuments, tone: 'dim' };
  }
  if (explanations.some(({ agent }) => !agent)) {
    yield { kind: 'line', text: 'no agent answers: what rules ask for and what is stale is not known', tone: 'dim' };
  }
}
