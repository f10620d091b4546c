// SPDX-License-Identifier: Apache-2.0
// Documents for tests: short texts made whole, and what reading says of them.
import { openBuilder } from '../../../src/source/file/build/builder.ts';
import { openFolder } from '../../../src/source/file/folder.ts';
import { type FileContents, readFileText } from '../../../src/source/file/read.ts';
import { type Finding, renderFinding, renderPlace } from '../../../src/source/findings.ts';

/** An AuthorizationPolicy "shop/p". */
export const policy = (spec: string, meta = '', version = 'v1') => `
  apiVersion: security.istio.io/${version}
  kind: AuthorizationPolicy
  metadata: {name: p, namespace: shop${meta}}
  spec: {${spec}}
`;

export const pod = (name: string, labels: string, namespace = 'shop') => `
  apiVersion: v1
  kind: Pod
  metadata: {name: ${name}, namespace: ${namespace}, labels: {${labels}}}
  spec: {nodeName: n}
  status: {podIP: 10.2.0.1, phase: Running}
`;

/** A text without the newline it begins with and the indent of its first line. */
export function dedent(text: string): string {
  const lines = text.replace(/^\n/, '').split('\n');
  const indent = /^ */.exec(lines[0] as string)?.[0].length ?? 0;
  return lines.map((line) => line.slice(indent)).join('\n');
}

export function read(text: string): FileContents {
  return readFileText('a.yaml', dedent(text));
}

export function lines(findings: readonly Finding[]): string[] {
  return findings.map(renderFinding);
}

/** Everything that files say together. */
export function built(...texts: string[]) {
  const folder = openFolder();
  const names = texts.map((_, i) => `${i}.yaml`);
  folder.order(names);
  const builder = openBuilder();
  const changes = builder.update(
    folder.update(
      texts.map((text, i) => [names[i] as string, readFileText(names[i] as string, dedent(text))] as const),
    ),
  );
  return { builder, folder, changes, report: folder.report(builder.warnings()), ...builder };
}

/** Faults, warnings and ignored things of a text, a line each. */
export function says(text: string): string {
  const { faults, warnings, ignored } = read(text);
  return [
    ...lines(faults),
    ...lines(warnings).map((line) => `warning ${line}`),
    ...ignored.map(({ what, count, first }) => `ignored ${renderPlace(first)}: ${what} (${count})`),
  ].join('\n');
}
