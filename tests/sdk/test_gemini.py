"""Google's Gen AI SDK, unmodified but for base URL and key, and OpenAI's SDK on Gemini's compatible path."""

import base64
import hashlib
import io
import unittest

import openai
from common import CLIENT_KEY, GLOBAL_KEY, EMBEDDING, MODELS, PIXEL, REPLY, STREAMED, group
from google import genai
from google.genai import errors, types


def client(name="gemini", key=CLIENT_KEY):
    return genai.Client(api_key=key, http_options=types.HttpOptions(base_url=group(name), timeout=20_000))


class Gemini(unittest.TestCase):
    def setUp(self):
        self.client = client()

    def ask(self, asking=None, **more):
        return (asking or self.client).models.generate_content(model="mock-small", contents="hi", **more)

    def test_content(self):
        self.assertEqual(self.ask().text, REPLY)

    def test_streamed_content(self):
        stream = self.client.models.generate_content_stream(model="mock-small", contents="hi")
        self.assertEqual("".join(chunk.text for chunk in stream), STREAMED)

    def test_function_call(self):
        weather = types.FunctionDeclaration(name="weather", parameters={"type": "OBJECT", "properties": {}})
        config = types.GenerateContentConfig(tools=[types.Tool(function_declarations=[weather])])
        call = self.ask(config=config).function_calls[0]
        self.assertEqual((call.name, call.args), ("weather", {"city": "Paris"}))

    def test_vision_payload(self):
        contents = ["?", types.Part.from_bytes(data=PIXEL, mime_type="image/png")]
        answer = self.client.models.generate_content(model="mock-small", contents=contents)
        self.assertEqual(answer.text, REPLY)

    def test_embeddings(self):
        answer = self.client.models.embed_content(model="mock-small", contents="a")
        self.assertEqual(answer.embeddings[0].values, EMBEDDING)

    def test_model_list(self):
        self.assertEqual([model.name for model in self.client.models.list()], [f"models/{name}" for name in MODELS])

    def test_file_upload(self):
        content = bytes(range(256)) * 1024
        config = types.UploadFileConfig(mime_type="application/octet-stream", display_name="all bytes")
        file = self.client.files.upload(file=io.BytesIO(content), config=config)
        self.assertEqual((file.size_bytes, file.display_name), (len(content), "all bytes"))
        self.assertEqual(base64.b64decode(file.sha256_hash).decode(), hashlib.sha256(content).hexdigest())

    def test_errors_of_the_upstream_keep_their_class(self):
        for status in (400, 401, 403, 404, 429, 500):
            expected = errors.ServerError if status >= 500 else errors.ClientError
            with self.subTest(status=status):
                with self.assertRaises(expected) as raised:
                    self.ask(client(f"gemini-{status}"))
                self.assertEqual(raised.exception.code, status)

    def test_our_own_refusals_have_a_class(self):
        with self.assertRaises(errors.ClientError) as raised:
            self.ask(client(key="sk-wrong"))
        self.assertEqual(raised.exception.code, 401)
        with self.assertRaises(errors.ClientError) as raised:
            self.ask(client("no-such-group", key=GLOBAL_KEY))
        self.assertEqual(raised.exception.code, 404)

    def test_an_upstream_that_resets_is_a_server_error(self):
        with self.assertRaises(errors.ServerError) as raised:
            self.ask(client("gemini-reset"))
        self.assertEqual(raised.exception.code, 502)

    def test_a_stream_that_is_cut_does_not_end_cleanly(self):
        asking = client("gemini-cut")
        stream = asking.models.generate_content_stream(model="mock-small", contents="hi")
        with self.assertRaises(Exception) as raised:
            list(stream)
        self.assertIn("peer closed", str(raised.exception).lower() + repr(raised.exception.__cause__).lower())


class OpenAiCompatible(unittest.TestCase):
    def test_chat(self):
        with openai.OpenAI(base_url=group("gemini") + "/v1beta/openai", api_key=CLIENT_KEY, max_retries=0) as asking:
            messages = [{"role": "user", "content": "hi"}]
            answer = asking.chat.completions.create(model="mock-small", messages=messages)
            self.assertEqual(answer.choices[0].message.content, REPLY)
            stream = asking.chat.completions.create(model="mock-small", messages=messages, stream=True)
            self.assertEqual("".join(chunk.choices[0].delta.content or "" for chunk in stream), STREAMED)


if __name__ == "__main__":
    unittest.main()
