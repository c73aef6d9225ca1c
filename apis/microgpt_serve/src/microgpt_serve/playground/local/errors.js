// Problems of a request or of the file, with a message for a person. Equals microgpt/errors.py.

export class EngineError extends Error {}
