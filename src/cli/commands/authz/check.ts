// SPDX-License-Identifier: Apache-2.0
import { counted, KmeshError } from '../../../errors.ts';
import { text, texts, toggle } from '../../param.ts';
import { command } from '../../spec.ts';
import { viewPolicyCheck } from '../../view/authz-check.ts';

export const authzCheck = command({
  path: ['authz', 'check'],
  group: 'Authorization',
  summary: 'look over policies in files, and ask them who may connect to whom',
  description:
    'Reads Kubernetes and Istio YAML as the agent does and compiles its policies as the agent would. Says what is wrong with them: ' +
    'what would be refused, DENY rules that rest on HTTP attributes, policies that select nobody, rules that others decide before them, ' +
    'forgotten dry runs, names that nobody has. With a file of cases it also says whether each connection is decided as expected. Pods are ' +
    'taken from the files, or from the templates of Deployments and the like. Exit code 1 when a document would be refused or a case is not ' +
    'as expected. Needs neither root nor an agent.',
  examples: [
    { line: 'kmeshctl authz check policies/ apps/', note: 'policies, and the workloads that they are for' },
    { line: 'kmeshctl authz check policies/ apps/ --expect cases.yaml --strict', note: 'in CI' },
    {
      line: 'kmeshctl authz check policies/ apps/ --from shop/frontend --to shop/cart:8080',
      note: 'one question',
    },
    {
      line: 'kmeshctl authz check shop.yaml --from 203.0.113.7 --to shop/cart:8080 --expect deny',
      note: 'with the answer that it should have',
    },
    {
      line: 'kubectl get -A -o yaml pods,services,authorizationpolicies,peerauthentications | kmeshctl authz check -',
      note: 'what a cluster holds',
    },
  ],
  args: { files: texts('FILE', 'file or folder; - reads standard input', { required: true, complete: 'file' }) },
  flags: {
    expect: texts('CASES|allow|deny', 'file of cases; or allow or deny, for the question of --from and --to', {
      complete: 'file',
    }),
    from: text('NS/NAME|ADDRESS', 'who connects: a workload (with @ADDRESS where policies ask for it), or an address'),
    to: text('NS/NAME:PORT[/udp]', 'to which workload and port'),
    strict: toggle('warnings fail, too'),
    strictL7Deny: toggle('DENY rules that rest on HTTP attributes are refused, as with the flag of the agent'),
  },
  run: async (ctx, input) => (await import('../../../tasks/authz/check.ts')).checkPolicies(ctx.env, input),
  view: viewPolicyCheck,
  failure: ({ faults, warnings, cases, strict }) => {
    const failed = cases.filter((one) => one.failed !== '').length;
    const what = [
      ...(faults.length > 0 ? [counted(faults.length, 'fault')] : []),
      ...(failed > 0 ? [`${counted(failed, 'case')} of ${cases.length} not as expected`] : []),
      ...(strict && warnings.length > 0 ? [counted(warnings.length, 'warning')] : []),
    ];
    return what.length === 0 ? undefined : new KmeshError('KM_CHECK_FAILED', `policies: ${what.join(', ')}`);
  },
});
