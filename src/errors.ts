// SPDX-License-Identifier: Apache-2.0
// The one error class, the catalogue of its codes (docs/errors.md is held equal to it by a test), what others' errors say, and words for messages.

/** Code -> what it means, as docs/errors.md prints it. A retired code stays listed with "retired". */
export const errorCodes = {
  KM_USAGE: 'the command line does not make sense',
  KM_INTERNAL: 'a promise inside kmeshctl was broken: a bug',
  KM_NOT_ROOT: 'touching the kernel needs root (or CAP_BPF, CAP_NET_ADMIN, CAP_SYS_ADMIN)',
  KM_NOT_LOADED: 'no programs are loaded under this bpffs folder',
  KM_ALREADY_LOADED: 'programs are loaded already',
  KM_VERSION_MISMATCH: 'the programs that are loaded are of another version',
  KM_BUSY: 'something else holds the lock or still uses what should go',
  KM_LAYOUT: 'a kernel struct differs from the table that describes it',
  KM_LIBBPF: 'libbpf could not be loaded',
  KM_LOAD: 'a program or map could not be loaded',
  KM_ATTACH: 'a program could not be attached',
  KM_MAP: 'a map operation failed',
  KM_MAP_FULL: 'a map has no room left',
  KM_PIN: 'a pin could not be made, opened or removed',
  KM_MOUNT: 'a file system that is needed is not mounted',
  KM_CGROUP: 'a cgroup could not be used',
  KM_NETNS: 'a network namespace could not be used',
  KM_NOT_ENROLLED: 'that cgroup or workload is not enrolled',
  KM_NOT_FOUND: 'the named thing does not exist',
  KM_CONFIG: 'configuration was refused',
  KM_XDS: 'the control plane sent something that cannot be read',
  KM_AGENT_UNREACHABLE: 'the agent does not answer on its socket',
  KM_AGENT_RUNNING: 'an agent is running already',
  KM_DRIFT: 'the kernel does not hold what the agent wants',
  KM_CHECK_FAILED: 'a check failed',
  KM_DEMO: 'the demo saw something that must not happen',
  KM_LISTEN: 'an address could not be listened on',
  KM_SERVICE: 'the service manager did not do what it was asked',
  KM_PROXY: 'the proxy of a waypoint could not be run',
  KM_KUBE: 'the Kubernetes API could not be asked, or refused what it was asked',
  KM_CONFLICT: 'somebody else owns what should be changed',
  KM_TIMEOUT: 'what was waited for did not happen in time',
  KM_IO: 'a file could not be read or written',
} as const;

export type ErrorCode = keyof typeof errorCodes;

/** A failure to show to a person: code, what failed and why (lowercase, no full stop), what to do about it. */
export class KmeshError extends Error {
  override readonly name = 'KmeshError';
  readonly code: ErrorCode;
  readonly hint: string | undefined;
  /** Long text for --verbose: a whole verifier log. */
  readonly detail: string | undefined;
  /** Parts of the message for programs: map, errno ("ENOSPC"), written. */
  readonly facts: Readonly<Record<string, string | number>>;

  constructor(
    code: ErrorCode,
    message: string,
    options: {
      hint?: string;
      cause?: unknown;
      detail?: string;
      facts?: Readonly<Record<string, string | number>>;
    } = {},
  ) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.code = code;
    this.hint = options.hint;
    this.detail = options.detail;
    this.facts = options.facts ?? {};
  }
}

/** What anything that was thrown says. */
export const messageOf = (thrown: unknown): string => (thrown instanceof Error ? thrown.message : String(thrown));

/** The same with where it was thrown, for the log: of what only a bug throws. */
export const stackOf = (thrown: unknown): string => (thrown instanceof Error && thrown.stack) || messageOf(thrown);

/** What is named as a file is something else; its message stands behind the name. */
export class NotAFile extends Error {}

/** Why a file cannot be read, to stand behind its name. */
export function fileFault(thrown: unknown): string {
  const known: Readonly<Record<string, string>> = {
    ENOENT: 'does not exist',
    EACCES: 'may not be read (permission denied)',
    EISDIR: 'is a folder',
    ENOTDIR: 'leads through something that is no folder',
    ELOOP: 'is a link that leads to itself',
  };
  if (thrown instanceof NotAFile) return thrown.message;
  const code = thrown instanceof Error && 'code' in thrown ? String(thrown.code) : '';
  return known[code] ?? `cannot be read: ${messageOf(thrown)}`;
}

/** "1 file", "2 files"; `many`: the plural of what does not take an s. */
export const counted = (count: number, one: string, many = `${one}s`): string => `${count} ${count === 1 ? one : many}`;

/** For a terminal: names and messages come from others, who may write what moves the cursor, or turns the order of what is read. */
export const harmless = (text: string): string =>
  // biome-ignore lint/suspicious/noControlCharactersInRegex: that is what is looked for
  text.replace(/[\u0000-\u001f\u007f-\u009f\u200e\u200f\u2028-\u202e\u2066-\u2069]/g, '?');
