// An error with a message for the user. Equals microgpt/errors.py.

export class EngineError extends Error {}
