// The least that a Node proxy can do: decode the body, change the model, encode it, forward over keep-alive, carry the answer back.
// Usage: node minimal.js PORT UPSTREAM_PORT; /raw... carries an event stream as it is, any other path re-writes each event (rewriting.js).
'use strict';

const http = require('http');

const { rewriting } = require('./rewriting');

const [port, upstream] = process.argv.slice(2).map(Number);
const agent = new http.Agent({ keepAlive: true, maxSockets: Infinity, maxFreeSockets: 1024 });

function rewrite(reply, response, rewritten) {
  let held = '';
  reply.setEncoding('utf8');
  reply.on('data', (text) => {
    const lines = (held + text).split('\n');
    held = lines.pop();
    let out = '';
    for (const line of lines) out += rewritten(line);
    if (out) response.write(out);
  });
  reply.on('end', () => response.end('data: [DONE]\n\n'));
}

function forward(request, response, body) {
  body.model = 'openai::2024-02-01::gpt-4o';
  const data = Buffer.from(JSON.stringify(body));
  const headers = { 'content-type': 'application/json', 'content-length': data.length };
  const options = { agent, host: '127.0.0.1', port: upstream, method: 'POST', path: request.url, headers };
  const asked = http.request(options, (reply) => {
    const type = reply.headers['content-type'];
    response.writeHead(reply.statusCode, { 'content-type': type });
    if (type.startsWith('text/event-stream') && !request.url.startsWith('/raw')) rewrite(reply, response, rewriting(request.url));
    else reply.pipe(response);
  });
  asked.end(data);
}

const server = http.createServer((request, response) => {
  const pieces = [];
  request.on('data', (piece) => pieces.push(piece));
  request.on('end', () => forward(request, response, JSON.parse(Buffer.concat(pieces).toString())));
});
server.listen(port, '127.0.0.1', 4096);
