// SPDX-License-Identifier: Apache-2.0
import { counted, KmeshError } from '../../errors.ts';
import { texts } from '../param.ts';
import { command } from '../spec.ts';
import { viewValidation } from '../view/validation.ts';

export const validate = command({
  path: ['validate'],
  group: 'Control plane',
  summary: 'say what the agent would say of configuration files',
  description:
    'Reads Kubernetes and Istio YAML or JSON as the agent does, and lists every fault and warning with its place. Exit code 1 ' +
    'when a document is refused. What a route or policy names and is not in these files is a warning. Needs neither root nor an agent.',
  examples: [
    { line: 'kmeshctl validate shop.yaml', note: 'one file' },
    { line: 'kmeshctl validate /etc/kmesh', note: 'a folder' },
    { line: 'kubectl get -A -o yaml services,endpointslices,pods | kmeshctl validate -', note: 'what a cluster holds' },
  ],
  args: { files: texts('FILE', 'file or folder; - reads standard input', { required: true, complete: 'file' }) },
  flags: {},
  run: async (ctx, input) => (await import('../../tasks/validate.ts')).validateConfig(ctx.env, input),
  view: viewValidation,
  failure: ({ faults }) =>
    faults.length === 0
      ? undefined
      : new KmeshError('KM_CONFIG', `the agent would refuse documents: ${counted(faults.length, 'fault')}`),
});
