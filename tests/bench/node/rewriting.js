// How an event is re-written: of the LLM API it gets another model, of Cody's stream it becomes a chunk of OpenAI's.
'use strict';

const { randomUUID } = require('crypto');

const CODY = '/.api/completions/stream';

function changed(event) {
  event.model = 'gpt-4o';
  return event;
}

function translator() {
  const created = Math.floor(Date.now() / 1000);
  const common = { id: `chatcmpl-${randomUUID()}`, object: 'chat.completion.chunk', created, model: 'gpt-4o' };
  return (event) => {
    const stop = event.stopReason === undefined ? null : 'stop';
    const delta = event.deltaText === undefined ? {} : { content: event.deltaText };
    return { ...common, choices: [{ index: 0, delta, logprobs: null, finish_reason: stop }] };
  };
}

// Gives a function from a line of an upstream's stream to an event of the answer, empty where there is none.
exports.rewriting = (url) => {
  const change = url.startsWith(CODY) ? translator() : changed;
  return (line) => (line.startsWith('data: {"') ? `data: ${JSON.stringify(change(JSON.parse(line.slice(6))))}\n\n` : '');
};
