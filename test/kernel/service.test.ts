// SPDX-License-Identifier: Apache-2.0
// kmeshctl as a service of a machine with a real systemd: installed, booted, killed, stuck, uninstalled.
import { basename, join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { bin, type Machine, openMachine } from '../support/machine.ts';

let machine: Machine;
/** As the machine sees it. */
let cgroup = '';
/** All that could go wrong in a unit. */
const config = '/etc/my mesh/50% of $HOME "x"';
const target = ['--target', 'node'];
const units = ['kmeshctl-load.service', 'kmeshctl-agent.service'];

beforeAll(async () => {
  machine = openMachine('machine');
  cgroup = join('/sys/fs/cgroup', basename(machine.cgroup));
  await machine.boot();
  await shell(`mkdir -p "$1" && cat > "$1/shop.yaml" <<< "$2"`, config, shop);
});
afterAll(() => machine.close());

const shop = `
apiVersion: v1
kind: Service
metadata: {name: cart, namespace: shop}
spec: {clusterIP: 10.96.0.1, clusterIPs: [10.96.0.1], selector: {app: cart}, ports: [{port: 53, protocol: UDP}]}
---
apiVersion: v1
kind: Pod
metadata: {name: cart-1, namespace: shop, labels: {app: cart}}
spec: {nodeName: n1, containers: [{name: main}]}
status: {podIPs: [{ip: 10.0.0.1}], phase: Running, conditions: [{type: Ready, status: 'True'}]}
`;

/** What it printed; fails when it failed. */
async function shell(text: string, ...words: string[]): Promise<string> {
  const { code, out, err } = await machine.run('bash', '-c', text, 'bash', ...words);
  expect({ text, code, err }).toEqual({ text, code: 0, err });
  return out.trim();
}
const place = () => ['--cgroup-root', cgroup];
const installWords = (...words: string[]) => {
  const agent = ['--config', config, '--node', 'n1', '--metrics', '127.0.0.1:15020'];
  return ['install', ...target, ...agent, ...place(), ...words];
};
const install = (...words: string[]) => machine.kmeshctl(...installWords(...words));
const uninstall = (...words: string[]) => machine.kmeshctl('uninstall', ...target, ...words);
const property = (name: string, unit = 'kmeshctl-agent') => shell('systemctl show -P "$1" "$2"', name, unit);
const programs = () => shell('ls /sys/fs/bpf/kmesh/links | tr "\\n" " "');
/** What the health page says. */
async function ready(): Promise<string> {
  const ask = `fetch('http://127.0.0.1:15020/healthz/ready').then((a) => a.text()).then(console.log)`;
  return (await machine.run(process.execPath, '-e', ask)).out.trim();
}
const status = async () => JSON.parse((await machine.kmeshctl('status', ...place(), '-o', 'json')).out);
/** What may be there of ours: units, drop-ins, pins, the run directory. */
const traces = () =>
  shell(
    'find /etc/systemd /run/systemd/system /run/systemd/system.control /sys/fs/bpf /run/kmesh -name "*kmesh*" 2> /dev/null || true',
  );

describe('a service', { timeout: 180_000 }, () => {
  it('is shown before it is made', async () => {
    const { code, out } = await install('--dry-run', '-o', 'json');
    expect(code).toBe(0);
    const { steps, files } = JSON.parse(out);
    expect(files.map((file: { path: string }) => basename(file.path))).toEqual(units);
    expect(steps.slice(-2)).toEqual([
      { action: 'run', what: 'systemctl daemon-reload' },
      { action: 'run', what: `systemctl restart ${units.join(' ')}` },
    ]);
    expect(await traces()).toBe('');
  });

  it('runs once it is installed, with the words it was given, and stays as it is when installed again', async () => {
    expect(await install('--map-size', 'endpoint=64')).toEqual({
      code: 0,
      out: 'installed, enabled and started\n',
      err: '',
    });
    expect(await property('ActiveState')).toBe('active');
    expect(await property('StatusText')).toBe('ready: 1 service, 1 workload');
    const { agent, maps } = await status();
    expect(agent.sources[0].name).toBe(config);
    expect(await ready()).toBe('ready');
    expect(maps.find((map: { name: string }) => map.name === 'endpoint').size).toBe(64);
    const started = await property('MainPID');
    expect((await install('--map-size', 'endpoint=64')).out).toBe('installed and running already\n');
    expect(await property('MainPID')).toBe(started);
  });

  it('is sound, and little exposed, by the judgement of systemd', async () => {
    expect(await shell('systemd-analyze verify --man=no /etc/systemd/system/kmeshctl-*.service 2>&1')).toBe('');
    // In tenths, of ten.
    await shell('systemd-analyze security --threshold=35 kmeshctl-agent.service');
    await shell('systemd-analyze security --threshold=50 kmeshctl-load.service');
  });

  it('has every capability it needs: sockets of pods in other namespaces are reached', async () => {
    await shell('mkdir "$1/pod"', cgroup);
    expect(
      (await machine.kmeshctl('enroll', `${cgroup}/pod`, '--workload', 'shop/cart-1', '--authz', 'off', ...place()))
        .code,
    ).toBe(0);
    // The pod says what its socket is connected to, and then when an error ends that.
    const pod = `
import socket, time
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.connect(('10.96.0.1', 53)); print(s.getpeername()[0], flush=True)
while True:
  time.sleep(0.05)
  try: s.send(b'x')
  except OSError as fault: print('ended', flush=True); break`;
    await shell(
      `(echo $BASHPID > "$1/pod/cgroup.procs"; exec setsid unshare -n bash -c 'ip link set lo up && ip route add default dev lo && exec python3 -c "$1"' bash "$2") > /run/pod.log 2>&1 < /dev/null &`,
      ...[cgroup, pod],
    );
    await machine.until(async () => (await shell('cat /run/pod.log')) === '10.96.0.1');
    await shell(`sed -i s/10.0.0.1/10.0.0.2/ "$1/shop.yaml"`, config);
    await machine.until(async () => (await shell('cat /run/pod.log')) === '10.96.0.1\nended');
    // More pods than there is room for: programs and maps are made anew from within.
    const pods = Array.from({ length: 80 }, (_, i) =>
      `---\n${shop.split('---')[1]}`.replaceAll(/(cart-|10\.0\.0\.)1/g, `$1${i + 3}`),
    );
    await shell(`cat >> "$1/shop.yaml" <<< "$2"`, config, pods.join(''));
    await machine.until(async () => (await status()).agent.workloads === 81 && (await status()).agent.ready);
    expect((await status()).agent.growth).toMatchObject([{ map: 'endpoint', from: 64 }]);
    const said = await shell('journalctl -u kmeshctl-agent -o cat --no-pager');
    expect(said.split('\n').filter((line) => line.includes('"level":"error"'))).toEqual([]);
  });

  it('can judge pods: what came off is attached again, and their open connections are reached', async () => {
    await install('--map-size', 'endpoint=64', '--heal-interval', '1s');
    await shell('mkdir "$1/judged"', cgroup);
    await shell(
      `(echo $BASHPID > "$1/judged/cgroup.procs"; exec setsid unshare -n sleep 1000) > /dev/null 2>&1 < /dev/null & echo $! > /run/judged.pid`,
      cgroup,
    );
    const pid = await shell('cat /run/judged.pid');
    await machine.until(
      async () => (await shell('readlink /proc/$1/ns/net', pid)) !== (await shell('readlink /proc/1/ns/net')),
    );
    await shell(
      `ip link add kmjudged type veth peer name eth0 netns "$1" && ip link set kmjudged up &&
        nsenter -t "$1" -n bash -c 'ip addr add 10.0.0.2/24 dev eth0 && ip link set eth0 up'`,
      pid,
    );
    const enrolled = await machine.kmeshctl(
      'enroll',
      `${cgroup}/judged`,
      '--workload',
      'shop/cart-1',
      '--authz',
      'on',
      ...place(),
    );
    expect(enrolled).toMatchObject({ code: 0, err: '' });
    const isJudged = async () => {
      const { rows } = JSON.parse((await machine.kmeshctl('enrolled', ...place(), '-o', 'json')).out);
      return rows.some((row: { authz: string }) => row.authz === 'on');
    };
    await machine.until(isJudged);
    await machine.until(async () => (await status()).agent.authz?.rechecks.rounds >= 2);
    const pins = () => shell('find /sys/fs/bpf/kmesh/authz /sys/fs/bpf/kmesh/spoof -type f | sort');
    const before = await pins();
    expect(before).not.toBe('');
    await shell('find /sys/fs/bpf/kmesh/authz /sys/fs/bpf/kmesh/spoof -type f -delete');
    await machine.until(async () => (await pins()) === before);
    const said = await shell('journalctl -u kmeshctl-agent -o cat --no-pager');
    expect(
      said.split('\n').filter((line) => /could not be judged again|cannot be put right|"level":"error"/.test(line)),
    ).toEqual([]);
    expect((await machine.kmeshctl('unenroll', `${cgroup}/judged`, ...place())).code).toBe(0);
    await shell('kill "$1"', pid);
    await install('--map-size', 'endpoint=64');
  });

  it('reads again, comes back when it is killed or stuck, and leaves the programs alone', async () => {
    const before = await programs();
    await shell('systemctl reload kmeshctl-agent');
    await machine.until(async () => (await shell('journalctl -u kmeshctl-agent -o cat')).includes('read again'));
    const pid = await property('MainPID');
    await shell('systemctl kill -s KILL kmeshctl-agent');
    await machine.until(async () => {
      const now = await property('MainPID');
      return now !== pid && now !== '0' && (await property('ActiveState')) === 'active';
    });
    await shell(
      `mkdir -p "$1" && echo '[Service]
WatchdogSec=3s' > "$1/watchdog.conf" && systemctl daemon-reload && systemctl restart kmeshctl-agent`,
      '/run/systemd/system/kmeshctl-agent.service.d',
    );
    const restarts = Number(await property('NRestarts'));
    await shell('systemctl kill -s STOP kmeshctl-agent');
    await machine.until(async () => Number(await property('NRestarts')) > restarts);
    await machine.until(async () => (await property('ActiveState')) === 'active');
    await shell('systemctl stop kmeshctl-agent');
    expect(await programs()).toBe(before);
  });

  it('is there after a boot, the programs before anything that starts containers', async () => {
    await shell(
      `cat > /etc/systemd/system/kubelet.service <<< "$1" && systemctl enable kubelet 2> /dev/null`,
      `
[Service]
Type=oneshot
ExecStart=/bin/sh -c 'ls /sys/fs/bpf/kmesh/links > /run/kubelet-saw'
[Install]
WantedBy=multi-user.target`,
    );
    await machine.halt();
    await machine.boot();
    expect(await shell('tr "\\n" " " < /run/kubelet-saw')).toContain('connect4 ');
    await machine.until(async () => (await property('ActiveState')) === 'active' && (await status()).agent.ready);
    expect(await property('Result', 'kmeshctl-load')).toBe('success');
    expect((await install('--map-size', 'endpoint=64')).out).toBe('installed and running already\n');
  });

  it('cuts nobody off unasked, and goes without a trace', async () => {
    await shell('mkdir -p "$1/pod"', cgroup);
    expect(
      (await machine.kmeshctl('enroll', `${cgroup}/pod`, '--workload', 'shop/cart-1', '--authz', 'off', ...place()))
        .code,
    ).toBe(0);
    const refused = await uninstall();
    expect(refused).toMatchObject({
      code: 1,
      err: expect.stringMatching(/^error KM_BUSY: 1 cgroup is enrolled\n.*--keep-programs/),
    });
    expect(await property('ActiveState')).toBe('active');
    expect(await uninstall('--keep-programs')).toEqual({ code: 0, out: 'uninstalled\n', err: '' });
    expect(await programs()).toContain('connect4');
    expect(await shell('systemctl list-units --all --no-legend "kmeshctl*"')).toBe('');

    expect((await install()).code).toBe(0);
    await shell('systemctl set-property kmeshctl-agent CPUWeight=50');
    expect((await uninstall('--force')).out).toBe('uninstalled; unloaded; 1 cgroup is not enrolled any more\n');
    expect(await traces()).toBe('');
    expect(await uninstall()).toEqual({ code: 0, out: 'no service was installed\n', err: '' });
  });

  it('mounts a bpffs of its own for all to see, and takes it away', async () => {
    const elsewhere = ['--bpffs', '/srv/own/bpf/kmesh', '--run-dir', '/run/own mesh'];
    expect(await install(...elsewhere)).toMatchObject({ code: 0, err: '' });
    expect(await shell('findmnt -n -o FSTYPE /srv/own/bpf')).toBe('bpf');
    expect(await shell('ls "/run/own mesh"')).toContain('agent.sock');
    // Where it is, is read from the unit.
    expect((await uninstall()).out).toBe('uninstalled; unloaded\n');
    expect(await shell('findmnt /srv/own/bpf; ls "/run/own mesh" 2> /dev/null; true')).toBe('');
    expect(await traces()).toBe('');
  });

  it('is written and enabled only where systemd does not run, as in a container', async () => {
    const hidden = 'mount -t tmpfs tmpfs /run/systemd && exec "$@"';
    const inside = (...words: string[]) =>
      machine.run('unshare', '-m', 'bash', '-c', hidden, 'bash', process.execPath, bin, ...words);
    expect(await inside(...installWords())).toEqual({
      code: 0,
      out: 'installed and enabled; systemd does not run here, so that it starts at the next boot\n',
      err: '',
    });
    expect(await property('UnitFileState')).toBe('enabled');
    expect(await property('ActiveState')).toBe('inactive');
    expect((await inside('uninstall', ...target)).out).toBe('uninstalled\n');
    expect(await traces()).toBe('');
  });

  it('starts while its control plane is away, and says what it waits for', async () => {
    const xds = ['--xds', '127.0.0.1:1', '--xds-plaintext', '--metrics', '127.0.0.1:15020', ...place()];
    const { code, err } = await machine.kmeshctl('install', ...target, ...xds);
    expect({ code, err }).toEqual({ code: 0, err: '' });
    expect(await property('ActiveState')).toBe('active');
    expect(await property('StatusText')).toMatch(/^not ready: xds 127\.0\.0\.1:1 /);
    expect(await ready()).toMatch(/^not ready: xds 127\.0\.0\.1:1 /);
    expect(await programs()).toContain('connect4');
    expect((await uninstall()).out).toBe('uninstalled; unloaded\n');
  });

  it('says why it did not start', async () => {
    const failed = await install('--cgroup-root', '/etc');
    expect(failed.code).toBe(1);
    expect(failed.err).toMatch(/^error KM_SERVICE: "systemctl restart .*" failed: Job for .*\nhint: .*journalctl -u/);
    expect((await uninstall()).code).toBe(0);
    expect(await traces()).toBe('');
  });
});
