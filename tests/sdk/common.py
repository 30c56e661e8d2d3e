"""Where the SDK tests find what `tests/sdk.rs` has set up for them."""

import os

BASE = os.environ["SDK_TEST_BASE"]
CLIENT_KEY = os.environ["SDK_TEST_CLIENT_KEY"]
# Opens every group, so its holder may know which there are.
GLOBAL_KEY = os.environ["SDK_TEST_GLOBAL_KEY"]

# The mock upstream's answers.
REPLY = "Hello from the mock upstream."
STREAMED = "0 1 2 3 4 "
EMBEDDING = [0.0, 0.25, 0.5, -0.5, 1.0, -1.0, 0.125, 2.0]
MODELS = ["mock-small", "mock-large"]
PIXEL = bytes.fromhex(
    "89504e470d0a1a0a0000000d4948445200000001000000010806000000"
    "1f15c4890000000a49444154789c6360000000020001e221bc330000000049454e44ae426082"
)


def group(name):
    """The base URL of a group. `openai-429`, for instance, is the group whose upstream always answers 429."""
    return f"{BASE}/proxy/{name}"
