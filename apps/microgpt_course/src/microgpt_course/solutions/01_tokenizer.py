"""A language model reads numbers, so a tokenizer turns a text into numbers and back.

Here each character is a token. Its number is its index in the sorted list of all characters that
occur in the documents. One more token, BOS, marks the beginning and the end of a document. It has
the next number after the characters.

    tokenizer = Tokenizer(["emma", "ava"])   # the characters are a, e, m, v
    tokenizer.bos                            # 4
    tokenizer.encode("emma")                 # [4, 1, 2, 2, 0, 4]
    tokenizer.decode([1, 2, 2, 0])           # "emma"
"""


class Tokenizer:
    def __init__(self, documents):
        self.chars = []  # the characters that occur in the documents, each once, sorted
        self.bos = 0  # the token ID of BOS
        # Your code: set self.chars and self.bos.
        self.chars = sorted(set("".join(documents)))
        self.bos = len(self.chars)
        # End of your code.

    def encode(self, document):
        """Return the tokens of a document, with BOS at both ends."""
        # Your code goes here.
        return [self.bos, *[self.chars.index(char) for char in document], self.bos]
        # End of your code.

    def decode(self, tokens):
        """Return the text of tokens; BOS has no text."""
        # Your code goes here.
        return "".join(self.chars[token] for token in tokens if token != self.bos)
        # End of your code.
