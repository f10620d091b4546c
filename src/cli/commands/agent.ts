// SPDX-License-Identifier: Apache-2.0
import { logLevels } from '../log-levels.ts';
import { choice, choiceOr, durationOr, listenAddress, text, texts, toggle } from '../param.ts';
import { sizeFlags } from '../sizes.ts';
import { command } from '../spec.ts';

/** Those of `install` as well: what it writes starts an agent with them. */
export const agentFlags = {
  xds: text('HOST:PORT', 'control plane to subscribe to (default without --config: istiod.istio-system.svc:15012)', {
    env: 'XDS_ADDRESS',
  }),
  config: texts('DIR|FILE', 'where configuration is; - reads standard input once', { complete: 'file' }),
  xdsPlaintext: toggle('speak to the control plane without TLS: port 15010 of istiod'),
  xdsRootCert: text(
    'FILE',
    'certificates that the control plane must be signed by (default: $XDS_ROOT_CA, /var/run/secrets/istio/root-cert.pem)',
    { complete: 'file' },
  ),
  xdsToken: text(
    'FILE',
    'token to show to the control plane, read for each stream (default: $AUTH_TOKEN, /var/run/secrets/tokens/istio-token)',
    { complete: 'file' },
  ),
  xdsServerName: text('NAME', 'name in the certificate of the control plane (default: $ALT_XDS_HOSTNAME, its host)'),
  xdsOnDemand: toggle('learn addresses when they are first dialled, for large meshes (also: XDS_ON_DEMAND=true)'),
  onMiss: choice(
    ['direct', 'refuse'],
    'HOW',
    'first connection to an address that is not known yet: goes where it was dialled, or is refused (default: direct)',
  ),
  clusterId: text('NAME', 'cluster that this node is of (default: $CLUSTER_ID, Kubernetes with --xds)'),
  network: text('NAME', "network that this node is on (default: $NETWORK, else what this node's workloads say)"),
  pod: text('NAMESPACE/NAME', 'pod that the agent runs as, for the control plane (default: $POD_NAMESPACE, $POD_NAME)'),
  instanceIp: text('ADDRESS', 'address of the agent, for the control plane (default: $INSTANCE_IP)'),
  node: text('NAME', "name of this node: its locality and node-local policies need it (default: the host's name)", {
    env: 'NODE_NAME',
  }),
  authzHostProbes: choiceOr(
    'allow',
    ['allow', 'deny'],
    'HOW',
    "connections from this node's own addresses, as the kubelet's probes: allow lets them pass, deny judges them as others",
  ),
  onBadPolicy: choiceOr(
    'keep',
    ['keep', 'close'],
    'HOW',
    'a policy whose last version is refused: keep the one before, or close what it holds for',
  ),
  strictL7Deny: toggle('close what a DENY policy holds for that rests on HTTP attributes, which are not judged here'),
  waypointBinding: text(
    'BINDING',
    'what waypoints read first that do not say: PROXY, KMESH or NONE, with /PORT or without (default: PROXY/15088)',
  ),
  waypointAds: listenAddress(
    'ADDRESS',
    'where Envoys of waypoints are told their routes and policies, such as 127.0.0.1:15010 (default: nowhere)',
    15010,
  ),
  waypointAdsTlsCert: text(
    'FILE',
    'certificate of that address, in PEM, read again when it changes; without it plain text',
    {
      complete: 'file',
    },
  ),
  waypointAdsTlsKey: text('FILE', 'its key', { complete: 'file' }),
  waypointAdsClientCa: text('FILE', 'Envoys must show a certificate that one of these signed', { complete: 'file' }),
  waypointAdsRequireGrants: toggle(
    'let routes of waypoints use backends of other namespaces only where a ReferenceGrant says so',
  ),
  waypointUnready: choiceOr(
    'refuse',
    ['refuse', 'direct'],
    'HOW',
    'connections whose waypoint has no usable endpoint: refused, or past it to the service',
  ),
  serverFirst: choiceOr(
    'refuse',
    ['refuse', 'direct'],
    'HOW',
    'connections through a waypoint to a port whose server speaks first, as of MySQL: refused, or past the waypoint',
  ),
  serverFirstPorts: text('PORTS', 'more ports of such servers where a service says nothing, such as 5672,9042'),
  logLevel: choiceOr('info', logLevels, 'LEVEL', 'how much is logged; "kmeshctl log" changes it later'),
  healInterval: durationOr('60s', 'DURATION', 'how often the whole kernel state is compared and repaired; 0s: never'),
  metrics: listenAddress('ADDRESS', 'where metrics and health are served over HTTP, such as :15020 (default: nowhere)'),
  ...sizeFlags,
};

export const agent = command({
  path: ['agent'],
  group: 'Control plane',
  summary: 'keep the kernel as the configuration says',
  description:
    'Subscribes to a control plane such as istiod, reads and watches Kubernetes and Istio YAML, or both; works out what this node ' +
    'needs, and writes what differs. What both say is taken from the control plane. Loads the programs when none are loaded. ' +
    'SIGHUP reads everything again; SIGTERM ends the agent and leaves the data plane working. Logs go to standard error as JSON, ' +
    'one object a line; readiness is told to systemd.',
  examples: [
    { line: 'kmeshctl agent --xds istiod.istio-system.svc:15012', note: 'a control plane' },
    { line: 'kmeshctl agent --xds istiod.istio-system.svc:15012 --config /etc/kmesh', note: 'files beside it' },
    { line: 'kmeshctl agent --config /etc/kmesh', note: 'a folder, watched' },
    { line: 'kmeshctl agent --config services.yaml --config pods/', note: 'several places' },
    { line: 'kubectl get -A -o yaml services,pods,endpointslices | kmeshctl agent --config -', note: 'standard input' },
    { line: 'kmeshctl agent --config /etc/kmesh --take-over', note: 'in place of the agent that runs' },
  ],
  args: {},
  flags: { ...agentFlags, takeOver: toggle('end the agent that runs here already, and go on in its place') },
  needsRoot: true,
  handlesSignals: true,
  ownOutput: true,
  run: async (ctx, input) =>
    (await import('../../tasks/run-agent.ts')).runAgent(ctx.env, { place: ctx.place, ...input }),
  view: () => [],
});
