// A problem with a message for a person. Equals microgpt/errors.py.

export class EngineError extends Error {}
