// The official Node SDK at one task: node openai.mjs BASE_URL TASK; prints what it got as JSON.
import OpenAI from "openai";
import { zodResponseFormat } from "openai/helpers/zod";
import { z } from "zod";

const [, , baseURL, task] = process.argv;
const client = new OpenAI({ baseURL, apiKey: "any key", maxRetries: 0, timeout: 20_000 });
const model = "gpt-4";

const weather = {
  name: "get_weather",
  description: "The weather of a city",
  parameters: { type: "object", properties: { city: { type: "string" } }, required: ["city"] },
  parse: JSON.parse,
  function: () => "sunny",
};
const city = zodResponseFormat(z.object({ city: z.string() }), "city");
const written = '[[text:{"city":"Paris"}]]';
const said = (content) => [{ role: "user", content }];

const tasks = {
  async json() {
    const answer = await client.chat.completions.create({ model, messages: said("Hello") });
    return answer.choices[0].message.content;
  },
  async stream() {
    let text = "";
    let total;
    const stream = await client.chat.completions.create({
      model, messages: said("one two three"), stream: true, stream_options: { include_usage: true },
    });
    for await (const chunk of stream) {
      text += chunk.choices[0]?.delta.content ?? "";
      total = chunk.usage?.total_tokens ?? total;
    }
    return [text, typeof total];
  },
  async helper() {
    const stream = client.chat.completions.stream({ model, messages: said("one two three") });
    let text = "";
    stream.on("content", (delta) => { text += delta; });
    const final = await stream.finalChatCompletion();
    return [text, final.choices[0].message.content, final.choices[0].finish_reason];
  },
  async tools() {
    const runner = client.chat.completions.runTools({
      model, messages: said("What is the weather in Paris?"), tools: [{ type: "function", function: weather }],
    });
    return await runner.finalContent();
  },
  async streamed_tools() {
    const runner = client.chat.completions.runTools({
      model, messages: said("What is the weather in Paris?"), stream: true, tools: [{ type: "function", function: weather }],
    });
    return await runner.finalContent();
  },
  async structured() {
    const answer = await client.chat.completions.parse({ model, messages: said(written), response_format: city });
    return answer.choices[0].message.parsed;
  },
  async streamed_structured() {
    const stream = client.chat.completions.stream({ model, messages: said(written), response_format: city });
    return (await stream.finalChatCompletion()).choices[0].message.parsed;
  },
  async models() {
    const ids = [];
    for await (const one of client.models.list()) ids.push(one.id);
    const retrieved = await client.models.retrieve("openai::2024-02-01::gpt-4o");
    return [ids.includes("gpt-4o"), retrieved.id];
  },
  async error() {
    try {
      await client.chat.completions.create({ model: "mistral-large", messages: said("Hello") });
    } catch (error) {
      return [error.constructor.name, error.status, error.code];
    }
  },
  async stream_error() {
    let text = "";
    try {
      const stream = await client.chat.completions.create({
        model, messages: said("[[mid-error:too bad]][[words:4]]"), stream: true,
      });
      for await (const chunk of stream) text += chunk.choices[0]?.delta.content ?? "";
    } catch (error) {
      return [text, error.constructor.name, error.message];
    }
  },
};

console.log(JSON.stringify((await tasks[task]()) ?? null));
