"""The routes below /v1/, for clients of OpenAI's API."""
