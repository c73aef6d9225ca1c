// An error with a message for the user. JavaScript version of microgpt/errors.py.

export class EngineError extends Error {}
