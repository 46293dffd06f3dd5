// The AI SDK with its OpenAI-compatible provider at one task: node ai_sdk.mjs BASE_URL TASK; prints what it got as JSON.
import { createOpenAICompatible } from "@ai-sdk/openai-compatible";
import { generateText, Output, stepCountIs, streamText, tool } from "ai";
import { z } from "zod";

const [, , baseURL, task] = process.argv;
globalThis.AI_SDK_LOG_WARNINGS = false;
const options = { name: "router", baseURL, apiKey: "any key", includeUsage: true };
const provider = createOpenAICompatible(options);
const strict = createOpenAICompatible({ ...options, supportsStructuredOutputs: true }); // json_schema, else json_object
const model = provider("gpt-4");
const tools = {
  get_weather: tool({
    description: "The weather of a city",
    inputSchema: z.object({ city: z.string() }),
    execute: async () => "sunny",
  }),
};
const asked = { model, maxRetries: 0, prompt: "What is the weather in Paris?", tools, stopWhen: stepCountIs(3) };
const structured = {
  maxRetries: 0,
  prompt: '[[text:{"city":"Paris"}]]',
  output: Output.object({ schema: z.object({ city: z.string() }) }),
};

async function streamed(options) {
  const errors = [];
  const result = streamText({ ...options, onError: ({ error }) => errors.push(error) });
  let text = "";
  try {
    for await (const piece of result.textStream) text += piece;
  } catch (error) {
    errors.push(error); // the connection is broken after an error event, so that nobody can take it for an end
  }
  if (errors.length > 0) return [text, "error", String(errors[0].message ?? errors[0])];
  return [text, await result.finishReason, typeof (await result.totalUsage).totalTokens];
}

const tasks = {
  async json() {
    const answer = await generateText({ model, maxRetries: 0, system: "Be brief.", prompt: "Hello" });
    return [answer.text, answer.finishReason, answer.response.modelId];
  },
  stream: () => streamed({ model, maxRetries: 0, prompt: "one two three" }),
  async tools() {
    const answer = await generateText(asked);
    return [answer.text, answer.steps.length];
  },
  streamed_tools: () => streamed(asked),
  structured: async () => (await generateText({ ...structured, model: strict("gpt-4") })).output,
  json_object: async () => (await generateText({ ...structured, model })).output,
  streamed_structured: async () => await streamText({ ...structured, model: strict("gpt-4") }).output,
  async error() {
    try {
      await generateText({ model: provider("mistral-large"), maxRetries: 0, prompt: "Hello" });
    } catch (error) {
      return [error.name, error.statusCode, error.isRetryable];
    }
  },
  stream_error: () => streamed({ model, maxRetries: 0, prompt: "[[mid-error:too bad]][[words:4]]" }),
};

console.log(JSON.stringify((await tasks[task]()) ?? null));
