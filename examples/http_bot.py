"""A bot that answers the members of a chat room with a model that is served over HTTP.

The script reads lines such as `ada: hi` from standard input, calls the OpenAI-compatible route of
the service, and prints `bot: @ada hello!`, or the error if the service refuses a message, for
example because of its rate limit. Each member has a separate conversation, so the bot remembers
their names. The script needs only Python, and reads the API key from OPENAI_API_KEY.

    microgpt serve data/models/chat
    python examples/http_bot.py http://localhost:8080/v1
"""

import json
import os
import sys
from collections import defaultdict
from urllib.error import HTTPError, URLError
from urllib.request import Request, urlopen

Messages = list[dict[str, str]]
MEMORY = 7  # number of messages per request; odd, so that the first is from a member


def reply(base_url: str, messages: Messages) -> dict[str, str]:
    """Return the model's reply to a conversation."""
    body = {"model": "microgpt", "messages": messages, "temperature": 0}
    key = os.environ.get("OPENAI_API_KEY", "none")
    headers = {"Content-Type": "application/json", "Authorization": f"Bearer {key}"}
    request = Request(f"{base_url}/chat/completions", json.dumps(body).encode(), headers)
    with urlopen(request, timeout=60) as response:
        return json.load(response)["choices"][0]["message"]


def problem(error: HTTPError) -> str:
    """Return the error message of the service, or of a proxy, whose response may not be JSON."""
    try:
        return json.load(error)["error"]["message"]
    except (ValueError, LookupError, TypeError):
        return str(error)


def main(base_url: str) -> None:
    talks: defaultdict[str, Messages] = defaultdict(list)
    for line in sys.stdin:
        name, _, said = (part.strip() for part in line.partition(":"))
        if said:
            talk = [*talks[name], {"role": "user", "content": said}][-MEMORY:]
            try:
                talks[name] = [*talk, reply(base_url, talk)]
                answer = talks[name][-1]["content"]
            except HTTPError as error:  # drop the refused message, and continue
                answer = f"error: {problem(error)}"
            print(f"bot: @{name} {answer}", flush=True)


if __name__ == "__main__":
    try:
        main(sys.argv[1] if len(sys.argv) > 1 else "http://localhost:8080/v1")
    except (URLError, ConnectionError) as error:
        sys.exit(f"error: {error}")
