"""Questions whose answer is not known: prompts beside the grammar, some of them quite near it."""

from itertools import product

from microgpt.synthetic_chat.exchange import Draw, Exchange, Fillers, Wordings

UNKNOWN = "i don't know."

_TOPICS = (
    "moon", "sun", "weather", "president", "internet", "universe", "bible", "war", "world cup",
    "law", "economy", "news", "future", "past", "price of gold", "stock market", "human brain",
    "roman empire", "lottery", "election", "pyramids", "planet mars", "north pole", "virus",
    "football game", "film", "song", "museum", "airport", "hospital", "government", "tax",
    "password", "answer", "problem", "truth", "meaning of life", "amazon", "atlantic", "desert",
)  # fmt: skip
_ABOUT = Wordings(
    seen=(
        "where is the {}?", "who made the {}?", "why is the {} there?", "what about the {}?",
        "tell me about the {}", "how old is the {}?", "how does the {} work?", "explain the {}",
        "who owns the {}?", "when was the {}?", "how far is the {}?", "what is the {}?",
        "is the {} important?", "what do you think of the {}?",
    ),
    unseen=("describe the {}", "who invented the {}?", "what happened to the {}?"),
)  # fmt: skip
_COUNTRIES = (
    "india", "brazil", "mexico", "iran", "iraq", "nepal", "ghana", "mali", "chad", "angola",
    "sudan", "laos", "qatar", "oman", "yemen", "fiji", "malta", "cyprus", "iceland", "belgium",
    "ukraine", "croatia", "serbia", "latvia", "estonia", "bolivia", "ecuador", "uruguay", "panama",
    "jamaica",
)  # fmt: skip
_CAPITAL = Wordings(  # of a country that is not in the table
    seen=(
        "what is the capital of {}?", "capital of {}?", "how many people live in {}?",
        "where is {}?", "how big is {}?", "who rules {}?",
    ),
    unseen=("what language is spoken in {}?", "is {} a rich country?"),
)  # fmt: skip
_ACTIONS = (
    "cook", "drive", "swim", "sing a song", "write a poem", "play chess", "dance", "fly",
    "draw a picture", "speak german", "translate this", "write code", "order a pizza",
    "book a flight", "buy a car", "call a taxi", "read my mail", "fix my bike", "paint", "make tea",
    "sleep", "build a house", "find my keys", "learn to ski", "open the door", "win at cards",
    "ride a bike", "pay my bills", "grow plants", "bake bread",
)  # fmt: skip
_DOING = Wordings(
    seen=(
        "can you {}?", "how do i {}?", "when should i {}?", "please {}", "should i {} today?",
        "where can i {}?", "why do people {}?",
    ),
    unseen=("could you {}?", "is it hard to {}?"),
)  # fmt: skip
_SUBJECTS = ((_ABOUT, _TOPICS), (_CAPITAL, _COUNTRIES), (_DOING, _ACTIONS))

_SEEN = [Fillers.of(wording.format(topic) for wording, topic in product(wordings.seen, topics))
         for wordings, topics in _SUBJECTS]  # fmt: skip


def outside(draw: Draw) -> Exchange:
    """Ask for something that nothing else here tells.

    A prompt is held out as a whole.
    """
    i = draw.pick(range(len(_SUBJECTS)))
    wordings, topics = _SUBJECTS[i]
    if draw.split == "wordings":
        return Exchange(draw.ask(wordings, draw.pick(topics)), UNKNOWN, "outside")
    return Exchange(draw.spoken(draw.filler(_SEEN[i])), UNKNOWN, "outside")
