"""Anthropic's SDK, unmodified but for base URL and key."""

import base64
import hashlib
import unittest

import anthropic
from common import CLIENT_KEY, GLOBAL_KEY, MODELS, PIXEL, REPLY, STREAMED, group

HI = [{"role": "user", "content": "hi"}]
WEATHER = {"name": "weather", "input_schema": {"type": "object", "properties": {"city": {"type": "string"}}}}


def client(name="anthropic", key=CLIENT_KEY):
    return anthropic.Anthropic(base_url=group(name), api_key=key, max_retries=0, timeout=20)


class Anthropic(unittest.TestCase):
    def setUp(self):
        self.client = client()
        self.addCleanup(self.client.close)

    def ask(self, asking=None, **more):
        return (asking or self.client).messages.create(model="mock-small", max_tokens=64, messages=HI, **more)

    def test_message(self):
        self.assertEqual(self.ask().content[0].text, REPLY)

    def test_streamed_message(self):
        with self.client.messages.stream(model="mock-small", max_tokens=64, messages=HI) as stream:
            self.assertEqual("".join(stream.text_stream), STREAMED)
            self.assertEqual(stream.get_final_message().stop_reason, "end_turn")

    def test_tool_use_and_its_result(self):
        use = self.ask(tools=[WEATHER]).content[0]
        self.assertEqual((use.name, use.input), ("weather", {"city": "Paris"}))
        result = [{"type": "tool_result", "tool_use_id": use.id, "content": "sunny"}]
        told = [*HI, {"role": "assistant", "content": [use.model_dump()]}, {"role": "user", "content": result}]
        answer = self.client.messages.create(model="mock-small", max_tokens=64, messages=told, tools=[WEATHER])
        self.assertEqual(answer.content[0].text, REPLY)

    def test_streamed_tool_use(self):
        with self.client.messages.stream(model="mock-small", max_tokens=64, messages=HI, tools=[WEATHER]) as stream:
            self.assertEqual(stream.get_final_message().content[0].input, {"city": "Paris"})

    def test_vision_payload(self):
        source = {"type": "base64", "media_type": "image/png", "data": base64.b64encode(PIXEL).decode()}
        messages = [{"role": "user", "content": [{"type": "image", "source": source}]}]
        answer = self.client.messages.create(model="mock-small", max_tokens=64, messages=messages)
        self.assertEqual(answer.content[0].text, REPLY)

    def test_token_count(self):
        self.assertEqual(self.client.messages.count_tokens(model="mock-small", messages=HI).input_tokens, 10)

    def test_model_list(self):
        self.assertEqual([model.id for model in self.client.models.list()], MODELS)

    def test_file_upload(self):
        content = bytes(range(256)) * 1024
        file = self.client.beta.files.upload(file=("all-bytes.bin", content, "application/octet-stream"))
        self.assertEqual(file.id, "file_" + hashlib.sha256(content).hexdigest()[:12])

    def test_errors_of_the_upstream_keep_their_class(self):
        classes = {
            400: anthropic.BadRequestError, 401: anthropic.AuthenticationError, 403: anthropic.PermissionDeniedError,
            404: anthropic.NotFoundError, 429: anthropic.RateLimitError, 500: anthropic.InternalServerError,
        }
        for status, expected in classes.items():
            with self.subTest(status=status), client(f"anthropic-{status}") as failing:
                with self.assertRaises(expected) as raised:
                    self.ask(failing)
                self.assertEqual(raised.exception.status_code, status)

    def test_our_own_refusals_have_a_class(self):
        with client(key="sk-wrong") as stranger, self.assertRaises(anthropic.AuthenticationError):
            self.ask(stranger)
        with client("no-such-group", key=GLOBAL_KEY) as lost, self.assertRaises(anthropic.NotFoundError):
            self.ask(lost)

    def test_an_upstream_that_resets_is_a_server_error(self):
        with client("anthropic-reset") as failing, self.assertRaises(anthropic.InternalServerError) as raised:
            self.ask(failing)
        self.assertEqual(raised.exception.status_code, 502)

    def test_a_stream_that_is_cut_does_not_end_cleanly(self):
        with client("anthropic-cut") as failing:
            with self.assertRaises(Exception) as raised:
                list(self.ask(failing, stream=True))
            self.assertIn("peer closed", str(raised.exception).lower() + repr(raised.exception.__cause__).lower())


if __name__ == "__main__":
    unittest.main()
