"""OpenAI's SDK, unmodified but for base URL and key."""

import base64
import hashlib
import unittest

import openai
from common import CLIENT_KEY, GLOBAL_KEY, EMBEDDING, MODELS, PIXEL, REPLY, STREAMED, group

WEATHER = {
    "type": "function",
    "function": {"name": "weather", "parameters": {"type": "object", "properties": {"city": {"type": "string"}}}},
}
HI = [{"role": "user", "content": "hi"}]


def client(name="openai", key=CLIENT_KEY):
    return openai.OpenAI(base_url=group(name) + "/v1", api_key=key, max_retries=0, timeout=20)


class OpenAi(unittest.TestCase):
    def setUp(self):
        self.client = client()
        self.addCleanup(self.client.close)

    def test_chat(self):
        answer = self.client.chat.completions.create(model="mock-small", messages=HI)
        self.assertEqual(answer.choices[0].message.content, REPLY)

    def test_streamed_chat(self):
        stream = self.client.chat.completions.create(
            model="mock-small", messages=HI, stream=True, stream_options={"include_usage": True}
        )
        chunks = list(stream)
        self.assertEqual("".join(c.choices[0].delta.content or "" for c in chunks if c.choices), STREAMED)
        self.assertEqual(chunks[-1].usage.completion_tokens, 5)

    def test_tool_call_and_its_result(self):
        answer = self.client.chat.completions.create(model="mock-small", messages=HI, tools=[WEATHER])
        call = answer.choices[0].message.tool_calls[0]
        self.assertEqual((call.function.name, call.function.arguments), ("weather", '{"city":"Paris"}'))
        told = [*HI, answer.choices[0].message, {"role": "tool", "tool_call_id": call.id, "content": "sunny"}]
        answer = self.client.chat.completions.create(model="mock-small", messages=told, tools=[WEATHER])
        self.assertEqual(answer.choices[0].message.content, REPLY)

    def test_streamed_tool_call(self):
        stream = self.client.chat.completions.create(model="mock-small", messages=HI, tools=[WEATHER], stream=True)
        deltas = [chunk.choices[0].delta for chunk in stream]
        arguments = "".join(d.tool_calls[0].function.arguments for d in deltas if d.tool_calls)
        self.assertEqual(arguments, '{"city":"Paris"}')

    def test_vision_payload(self):
        url = "data:image/png;base64," + base64.b64encode(PIXEL).decode()
        content = [{"type": "text", "text": "?"}, {"type": "image_url", "image_url": {"url": url}}]
        answer = self.client.chat.completions.create(model="mock-small", messages=[{"role": "user", "content": content}])
        self.assertEqual(answer.choices[0].message.content, REPLY)

    def test_embeddings(self):
        answer = self.client.embeddings.create(model="mock-small", input=["a", "b"])
        self.assertEqual([list(item.embedding) for item in answer.data], [EMBEDDING, EMBEDDING])

    def test_model_list(self):
        self.assertEqual([model.id for model in self.client.models.list()], MODELS)

    def test_file_upload(self):
        content = bytes(range(256)) * 4096
        file = self.client.files.create(file=("all-bytes.bin", content), purpose="user_data")
        self.assertEqual((file.bytes, file.filename), (len(content), "all-bytes.bin"))
        self.assertEqual(file.id, "file-" + hashlib.sha256(content).hexdigest()[:12])

    def test_image(self):
        answer = self.client.images.generate(model="mock-small", prompt="a cat")
        self.assertEqual(base64.b64decode(answer.data[0].b64_json), b"\x89PNG mock")

    def test_speech_is_binary(self):
        answer = self.client.audio.speech.create(model="mock-small", voice="alloy", input="hi")
        self.assertEqual(answer.read(), b"ID3\x04 mock audio \xff\xfb\x00")

    def test_errors_of_the_upstream_keep_their_class(self):
        classes = {
            400: openai.BadRequestError, 401: openai.AuthenticationError, 403: openai.PermissionDeniedError,
            404: openai.NotFoundError, 429: openai.RateLimitError, 500: openai.InternalServerError,
        }
        for status, expected in classes.items():
            with self.subTest(status=status), client(f"openai-{status}") as failing:
                with self.assertRaises(expected) as raised:
                    failing.chat.completions.create(model="mock-small", messages=HI)
                self.assertEqual(raised.exception.status_code, status)

    def test_a_rate_limit_tells_when_to_come_back(self):
        with client("openai-429") as failing, self.assertRaises(openai.RateLimitError) as raised:
            failing.chat.completions.create(model="mock-small", messages=HI)
        self.assertGreater(int(raised.exception.response.headers["Retry-After"]), 0)

    def test_our_own_refusals_have_a_class(self):
        with client(key="sk-wrong") as stranger, self.assertRaises(openai.AuthenticationError):
            stranger.models.list()
        with client("no-such-group", key=GLOBAL_KEY) as lost, self.assertRaises(openai.NotFoundError):
            lost.models.list()

    def test_an_upstream_that_resets_is_a_server_error(self):
        with client("openai-reset") as failing, self.assertRaises(openai.InternalServerError) as raised:
            failing.chat.completions.create(model="mock-small", messages=HI)
        self.assertEqual(raised.exception.status_code, 502)

    def test_a_stream_that_is_cut_does_not_end_cleanly(self):
        with client("openai-cut") as failing:
            stream = failing.chat.completions.create(model="mock-small", messages=HI, stream=True)
            with self.assertRaises(Exception) as raised:
                list(stream)
            self.assertIn("peer closed", str(raised.exception).lower() + repr(raised.exception.__cause__).lower())


class Responses(unittest.TestCase):
    def setUp(self):
        self.client = client("openai-response")
        self.addCleanup(self.client.close)

    def test_response(self):
        answer = self.client.responses.create(model="mock-small", input="hi")
        self.assertEqual(answer.output_text, REPLY)

    def test_streamed_response(self):
        events = list(self.client.responses.create(model="mock-small", input="hi", stream=True))
        self.assertEqual("".join(e.delta for e in events if e.type == "response.output_text.delta"), STREAMED)
        self.assertEqual(events[-1].response.output_text, STREAMED)

    def test_tool_call(self):
        answer = self.client.responses.create(
            model="mock-small", input="hi", tools=[{"type": "function", **WEATHER["function"]}]
        )
        self.assertEqual((answer.output[0].name, answer.output[0].arguments), ("weather", '{"city":"Paris"}'))


if __name__ == "__main__":
    unittest.main()
