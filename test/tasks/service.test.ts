// SPDX-License-Identifier: Apache-2.0
// The units of a service as text, and as files of an image; what systemd makes of them is seen in test/kernel.
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { program } from '../../src/cli/program.ts';
import { installedFile } from '../../src/tasks/installed-file.ts';
import { commandLine, quoteArgument, quotePath } from '../../src/tasks/service/quote.ts';
import { placeOf, unitTexts } from '../../src/tasks/service/units.ts';
import { runLine } from '../cli/program.ts';

/** What systemd does with a quoted word: escapes, then specifiers, then variables. */
function asRead(word: string): string {
  const inner = word.startsWith('"') ? word.slice(1, -1) : word;
  const known: Record<string, string> = { n: '\n', t: '\t' };
  const bytes: Buffer[] = [];
  for (let at = 0; at < inner.length; ) {
    const [all = '', hex, other] = /^(?:\\x(..)|\\(.)|.)/su.exec(inner.slice(at)) ?? [];
    if (hex !== undefined) bytes.push(Buffer.from(hex, 'hex'));
    else bytes.push(Buffer.from(other === undefined ? all : (known[other] ?? other)));
    at += all.length;
  }
  return Buffer.concat(bytes).toString().replaceAll('%%', '%').replaceAll('$$', '$');
}

describe('words of a unit', () => {
  it('are plain where they can be', () => {
    expect(commandLine(['/usr/bin/node', 'load', '--map-size', 'endpoint=64', '[::1]:15020'])).toBe(
      '/usr/bin/node load --map-size endpoint=64 [::1]:15020',
    );
    expect(quoteArgument('')).toBe('""');
  });

  it.each([
    ['/etc/my mesh', '"/etc/my mesh"', '"/etc/my mesh"'],
    ['50%', '"50%%"', '"50%%"'],
    ['$HOME', '"$HOME"', '"$$HOME"'],
    ['a"b\\c', '"a\\"b\\\\c"', '"a\\"b\\\\c"'],
    ['two\nlines\u0007', '"two\\nlines\\x07"', '"two\\nlines\\x07"'],
    ["it's; #", `"it's; #"`, `"it's; #"`],
  ])('%j', (text, path, argument) => {
    expect([quotePath(text), quoteArgument(text)]).toEqual([path, argument]);
  });

  it('say what they were, on one line', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'grapheme' }), (text) => {
        const word = quoteArgument(text);
        expect(word).not.toMatch(/[\n\r]/);
        expect(asRead(word)).toBe(text);
      }),
    );
  });
});

describe('units', () => {
  const place = { bpffs: '/sys/fs/bpf/my "mesh"', cgroupRoot: '/sys/fs/cgroup/a b', runDir: '/run/kmesh' };
  const options = { node: '/usr/bin/node', program: '/opt/kmeshctl/bin/kmeshctl.js', place };
  const text = (reads: readonly string[]) =>
    unitTexts({ ...options, loadWords: [], agentWords: [], reads }).get('kmeshctl-agent.service') ?? '';

  it("give the agent's node little room for young objects", () => {
    expect(text([])).toMatch(
      /^ExecStart="?\/usr\/bin\/node"? --max-semi-space-size=4 --no-parallel-scavenge --initial-old-space-size=160 \/opt\/kmeshctl\/bin\/kmeshctl\.js agent /m,
    );
  });

  it('say where they belong', () => {
    expect(placeOf(text([]))).toEqual(place);
    expect(placeOf('[Service]\nExecStart=/bin/true\n')).toBeUndefined();
    expect(placeOf('\n[X-Kmeshctl]\nbpffs="/b"\n')).toBeUndefined();
  });

  it('hide what is not read', () => {
    expect(text(['/etc/kmesh'])).toMatch(/ProtectHome=yes\nPrivateTmp=yes/);
    expect(text(['/run/user/0/mesh', '/var/tmp/x'])).toMatch(/ProtectHome=read-only\nPrivateTmp=no/);
    expect(text(['/homework', '/rooted'])).toMatch(/ProtectHome=yes\n/);
  });
});

describe('an image', () => {
  let image = '';
  const units = () => join(image, 'etc/systemd/system');

  beforeEach(() => {
    image = mkdtempSync(join(tmpdir(), 'km-image-'));
    for (const path of [process.execPath, installedFile('bin/kmeshctl.js')]) {
      mkdirSync(join(image, dirname(path)), { recursive: true });
      symlinkSync(path, join(image, path));
    }
  });
  afterEach(() => rmSync(image, { recursive: true, force: true }));

  const run = (...words: string[]) => runLine(program, [...words, '--root', image, '--target', 'node']);

  it('gets both units, enabled; a dry run shows them and writes nothing', async () => {
    const dry = await run('install', '--config', 'mesh', '--max-endpoints', '9', '--heal-interval', '5m', '--dry-run');
    expect(dry).toMatchObject({ code: 0, stderr: '' });
    expect(dry.stdout).toContain(' --max-endpoints 9\n');
    expect(dry.stdout).toContain(' --config /mesh --heal-interval 5m --max-endpoints 9\n');
    expect(existsSync(units())).toBe(false);

    const done = await run('install', '--config', 'mesh');
    expect(done.stdout).toContain('starts at the next boot');
    const wants = join(units(), 'multi-user.target.wants');
    expect(readdirSync(units()).sort()).toEqual([
      'kmeshctl-agent.service',
      'kmeshctl-load.service',
      'multi-user.target.wants',
    ]);
    expect(readlinkSync(join(wants, 'kmeshctl-agent.service'))).toBe('/etc/systemd/system/kmeshctl-agent.service');
    expect(readFileSync(join(units(), 'kmeshctl-agent.service'), 'utf8')).toContain('agent --bpffs /sys/fs/bpf/kmesh');

    expect((await run('install', '--config', 'mesh')).stdout).toBe('installed already\n');
    const changed = JSON.parse((await run('install', '--config', 'other', '-o', 'json')).stdout);
    expect(changed.steps).toEqual([{ action: 'write', what: join(units(), 'kmeshctl-agent.service') }]);
  });

  it('holds what is given by environment variables of flags, and takes no others for the service', async () => {
    const env = { XDS_ADDRESS: 'istiod:15012', NODE_NAME: 'n 1', KMESH_RUN_DIR: '/run/x', ISTIO_METAJSON_X: 'no json' };
    const words = ['install', '--xds-root-cert', 'ca.pem', '--dry-run', '--root', image, '--target', 'node'];
    const { stdout, stderr } = await runLine(program, words, { env });
    expect(stderr).toBe('');
    expect(stdout).toContain(
      ' agent --bpffs /sys/fs/bpf/kmesh --run-dir /run/x --xds istiod:15012 --xds-root-cert /ca.pem --node "n 1"\n',
    );
  });

  it('is left as it was', async () => {
    await run('install', '--config', 'mesh');
    const dropIn = join(units(), 'kmeshctl-agent.service.d');
    mkdirSync(dropIn);
    writeFileSync(join(dropIn, 'more.conf'), '[Service]\nNice=1\n');
    const dry = await run('uninstall', '--dry-run');
    expect(dry.stdout).toContain(`remove  ${dropIn}`);
    expect(existsSync(dropIn)).toBe(true);
    expect((await run('uninstall')).stdout).toBe('uninstalled\n');
    expect(readdirSync(units())).toEqual([]);
    expect((await runLine(program, ['uninstall', '--root', image])).stdout).toBe('no service was installed\n');
  });

  it('must hold what the units start', async () => {
    rmSync(join(image, process.execPath));
    const { code, stderr } = await run('install', '--config', 'mesh');
    expect([code, stderr]).toEqual([1, expect.stringContaining(`KM_NOT_FOUND: "${process.execPath}" is not in`)]);
  });

  it('is not begun with words that no service can use', async () => {
    expect((await run('install', '--config', '-')).stderr).toContain('a service has no standard input');
    const folder = await run('install', '--config', 'mesh', '--xds-on-demand');
    expect(folder).toMatchObject({ code: 2, stderr: expect.stringContaining('--xds-on-demand needs --xds') });
    const elsewhere = await run('install', '--config', 'mesh', '--run-dir', '/srv/kmesh');
    expect(elsewhere).toMatchObject({ code: 2, stderr: expect.stringContaining('must be below /run') });
    const ads = ['--waypoint-ads', '127.0.0.1:15010'];
    for (const [words, said] of [
      [['--waypoint-ads-require-grants'], '--waypoint-ads-require-grants needs --waypoint-ads'],
      [['--waypoint-ads-tls-cert', 'c', '--waypoint-ads-tls-key', 'k'], '-client-ca need --waypoint-ads'],
      [[...ads, '--waypoint-ads-tls-cert', 'c'], '--waypoint-ads-tls-key belong together'],
      [[...ads, '--waypoint-ads-client-ca', 'c'], '--waypoint-ads-client-ca to both'],
      [[...ads, '--xds', 'istiod:15012', '--xds-on-demand'], '--xds-on-demand exclude each other'],
    ] as const) {
      const refused = await run('install', '--config', 'mesh', ...words);
      expect(refused).toMatchObject({ code: 2, stderr: expect.stringContaining(said) });
    }
    expect((await runLine(program, ['install', '--config', 'mesh'])).stderr).toContain('--target is missing');
    expect(existsSync(units())).toBe(false);
  });
});
