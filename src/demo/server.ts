// SPDX-License-Identifier: Apache-2.0
// Entry of its own: a server that answers with its name. NAME HTTP_PORT UDP_PORT; "ready" on stdout once both listen.
import { createSocket } from 'node:dgram';
import { createServer } from 'node:http';

const [name = '', httpPort = '0', udpPort = '0'] = process.argv.slice(2);

const http = createServer((_request, response) => {
  response.writeHead(200, { 'content-type': 'text/plain' });
  response.end(`${name}\n`);
});
const udp = createSocket({ type: 'udp6', ipv6Only: false });
udp.on('message', (_data, source) => udp.send(name, source.port, source.address));

// "::" takes IPv4, too.
http.listen({ port: Number(httpPort), host: '::', backlog: 1024 }, () => {
  udp.bind(Number(udpPort), '::', () => process.stdout.write('ready\n'));
});
