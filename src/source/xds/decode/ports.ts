// SPDX-License-Identifier: Apache-2.0
// istio.workload.Port, as services list them and as workloads map them.
import type { ServicePort } from '../../../mesh/service.ts';
import type { PortMapping } from '../../../mesh/workload.ts';
import type { FieldNames, Reader } from './reader.ts';

export const maxPort = 65535;

const portFields: FieldNames = { 1: 'service_port', 2: 'target_port', 3: 'app_protocol' };

/** By number of AppProtocol. */
const appProtocols = ['', 'http', 'http2', 'grpc', 'tcp', 'tls'];

export interface Port {
  readonly target: number;
  readonly app: number;
}

/**
 * Reads the port that comes next into `ports`. Of two with one number the last counts: TCP and UDP look the same here.
 * @param index among the ports, for faults
 */
export function readPort(reader: Reader, ports: Map<number, Port>, index: number): void {
  const mark = reader.mark;
  const outer = reader.enter();
  let port = 0;
  let target = 0;
  let app = 0;
  while (reader.more()) {
    const tag = reader.tag();
    switch (tag) {
      case (1 << 3) | 0:
        port = reader.uint32();
        break;
      case (2 << 3) | 0:
        target = reader.uint32();
        break;
      case (3 << 3) | 0:
        app = reader.int32();
        break;
      default:
        reader.other(tag, portFields);
    }
  }
  if (port < 1 || port > maxPort) reader.fault('service_port', `${port}, must be 1 to ${maxPort}`);
  if (target > maxPort) reader.fault('target_port', `${target}, must be at most ${maxPort}`);
  reader.leave(outer, mark, 'ports', index);
  ports.set(port, { target, app });
}

export function servicePorts(ports: ReadonlyMap<number, Port>): ServicePort[] {
  return Array.from(ports, ([port, { target, app }]) => ({
    port,
    targetPort: target,
    // The transport is not said.
    protocol: 'any',
    name: '',
    appProtocol: appProtocols[app] ?? '',
  }));
}

export function portMappings(ports: ReadonlyMap<number, Port>): PortMapping[] {
  return Array.from(ports, ([servicePort, { target }]) => ({ servicePort, targetPort: target }));
}
