// The same work with express and axios, the stack of the router's former Node version. NODE_PATH says where the two packages are.
// Usage: node express.js PORT UPSTREAM_PORT; /raw... carries an event stream as it is, any other path re-writes each event (rewriting.js).
'use strict';

const axios = require('axios');
const express = require('express');
const http = require('http');

const { rewriting } = require('./rewriting');

const [port, upstream] = process.argv.slice(2).map(Number);
const client = axios.create({ baseURL: `http://127.0.0.1:${upstream}`, httpAgent: new http.Agent({ keepAlive: true }) });
const app = express();

app.use(express.json({ limit: '16mb' }));

function rewrite(reply, response, rewritten) {
  let held = '';
  reply.on('data', (data) => {
    const lines = (held + data.toString()).split('\n');
    held = lines.pop();
    for (const event of lines.map(rewritten)) if (event) response.write(event);
  });
  reply.on('end', () => response.end('data: [DONE]\n\n'));
}

app.use(async (request, response) => {
  const body = { ...request.body, model: 'openai::2024-02-01::gpt-4o' };
  const reply = await client.post(request.url, body, { responseType: 'stream' });
  const type = reply.headers['content-type'];
  response.status(reply.status).set('content-type', type);
  if (type.startsWith('text/event-stream') && !request.path.startsWith('/raw')) rewrite(reply.data, response, rewriting(request.url));
  else reply.data.pipe(response);
});

http.createServer(app).listen(port, '127.0.0.1', 4096);
