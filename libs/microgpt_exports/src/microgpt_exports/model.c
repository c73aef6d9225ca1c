/* @FILE@: a language model with @COUNT@ weights, trained with microgpt.

   This C99 file needs only the math library: cc -O2 FILE -lm. Arguments: see MICROGPT_ARGUMENTS.
   To include the file as a header, define MICROGPT_NO_MAIN. `microgpt_next` reads a token, and
   `microgpt_sample` draws the next one. To start a new text, set the state to zeros. */

#ifndef MICROGPT_VOCAB
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

@SIZES@
/* The Unicode code point of each character token. The ids of special tokens follow. */
static const uint32_t microgpt_chars[] = {
@CHARS@
};

/* A matrix in row-major order. Each row of an int8 matrix is multiplied by its scale. */
typedef struct {
    int rows, columns;
    const @NUMBER@ *numbers;
    const float *scales;
} microgpt_matrix;

@WEIGHTS@
@MATRICES@

typedef struct {
    microgpt_matrix wq, wk, wv, wo, fc1, fc2;
} microgpt_layer;

static const microgpt_layer microgpt_layers[] = {
@LAYERS@
};

/* The state of a text: the keys and values of the tokens read, and scratch arrays. */
typedef struct {
    int n_read; /* number of tokens read */
    float keys[MICROGPT_LAYERS][MICROGPT_CONTEXT][MICROGPT_WIDTH];
    float values[MICROGPT_LAYERS][MICROGPT_CONTEXT][MICROGPT_WIDTH];
#if MICROGPT_TOKEN_SHIFT
    float last_embedding[MICROGPT_WIDTH];
    float last_input[MICROGPT_LAYERS][MICROGPT_WIDTH]; /* last input of each layer's MLP */
#endif
    float x[MICROGPT_WIDTH], normalized[MICROGPT_WIDTH], query[MICROGPT_WIDTH];
    float out[MICROGPT_WIDTH], hidden[MICROGPT_HIDDEN], attention[MICROGPT_CONTEXT];
    float angles[MICROGPT_HEAD + 1]; /* cosine and sine for each pair of dimensions */
    float logits[MICROGPT_VOCAB]; /* of the next token */
} microgpt_state;

static inline float microgpt_dot(const microgpt_matrix *matrix, int row, const float *x) {
    const @NUMBER@ *numbers = matrix->numbers + (size_t)row * (size_t)matrix->columns;
    float sums[8] = {0}, sum = 0; /* eight independent sums, for SIMD instructions */
    int whole = matrix->columns - matrix->columns % 8;
    for (int i = 0; i < whole; i += 8)
        for (int lane = 0; lane < 8; lane++) sums[lane] += (float)numbers[i + lane] * x[i + lane];
    for (int i = whole; i < matrix->columns; i++) sum += (float)numbers[i] * x[i];
    for (int lane = 0; lane < 8; lane++) sum += sums[lane];
    return matrix->scales ? matrix->scales[row] * sum : sum;
}

/* out = matrix x */
static inline void microgpt_linear(float *out, const microgpt_matrix *matrix, const float *x) {
    for (int row = 0; row < matrix->rows; row++) out[row] = microgpt_dot(matrix, row, x);
}

static inline float microgpt_number(const microgpt_matrix *matrix, int row, int column) {
    float number = (float)matrix->numbers[(size_t)row * (size_t)matrix->columns + (size_t)column];
    return matrix->scales ? matrix->scales[row] * number : number;
}

/* Scale n numbers to a root mean square of 1 (RMSNorm). */
static inline void microgpt_normalize(float *out, const float *x, int n) {
    float squares = 0;
    for (int i = 0; i < n; i++) squares += x[i] * x[i];
    float scale = 1 / sqrtf(squares / (float)n + 1e-5f);
    for (int i = 0; i < n; i++) out[i] = x[i] * scale;
}

/* Normalize a query or key, and rotate each pair of numbers by the angle for its position. */
static inline void microgpt_rotate(const microgpt_state *state, float *x) {
    for (float *head = x; head < x + MICROGPT_WIDTH; head += MICROGPT_HEAD) {
        microgpt_normalize(head, head, MICROGPT_HEAD);
        for (int i = 0; i + 1 < MICROGPT_HEAD; i += 2) {
            float a = head[i], b = head[i + 1];
            head[i] = a * state->angles[i] - b * state->angles[i + 1];
            head[i + 1] = a * state->angles[i + 1] + b * state->angles[i];
        }
    }
}

/* state->out = causal attention over the tokens so far */
static inline void microgpt_attend(microgpt_state *state, int layer) {
    int n = state->n_read + 1, whole = MICROGPT_HEAD - MICROGPT_HEAD % 8;
    for (int start = 0; start < MICROGPT_WIDTH; start += MICROGPT_HEAD) {
        float largest = -INFINITY, total = 0;
        for (int t = 0; t < n; t++) {
            const float *query = state->query + start, *key = state->keys[layer][t] + start;
            float sums[8] = {0}, sum = 0;
            for (int i = 0; i < whole; i += 8)
                for (int lane = 0; lane < 8; lane++) sums[lane] += query[i + lane] * key[i + lane];
            for (int i = whole; i < MICROGPT_HEAD; i++) sum += query[i] * key[i];
            for (int lane = 0; lane < 8; lane++) sum += sums[lane];
            state->attention[t] = sum / sqrtf(MICROGPT_HEAD);
            if (state->attention[t] > largest) largest = state->attention[t];
        }
        for (int t = 0; t < n; t++) total += state->attention[t] = expf(state->attention[t] - largest);
        memset(state->out + start, 0, MICROGPT_HEAD * sizeof(float));
        for (int t = 0; t < n; t++) {
            float weight = state->attention[t] / total;
            for (int i = start; i < start + MICROGPT_HEAD; i++)
                state->out[i] += weight * state->values[layer][t][i];
        }
    }
}

/* Read a token, and set state->logits for the next one; read at most MICROGPT_CONTEXT tokens. */
static inline void microgpt_next(microgpt_state *state, int token) {
    float *x = state->x, *in = state->normalized;
    for (int i = 0; i < MICROGPT_WIDTH; i++) x[i] = microgpt_number(&microgpt_wte, token, i);
#if MICROGPT_TOKEN_SHIFT
    for (int i = 0; i < MICROGPT_WIDTH; i++) {
        float own = x[i];
        x[i] += state->last_embedding[(i + MICROGPT_WIDTH - MICROGPT_WIDTH / 2) % MICROGPT_WIDTH];
        in[i] = own;
    }
    memcpy(state->last_embedding, in, sizeof state->last_embedding);
#endif
#if MICROGPT_ROTARY
    for (int i = 0; i + 1 < MICROGPT_HEAD; i += 2) {
        double angle = state->n_read * pow(@ROTARY_BASE@, -(double)i / MICROGPT_HEAD);
        state->angles[i] = (float)(@QK_SCALE@ * cos(angle));
        state->angles[i + 1] = (float)(@QK_SCALE@ * sin(angle));
    }
#else
    for (int i = 0; i < MICROGPT_WIDTH; i++) x[i] += microgpt_number(&microgpt_wpe, state->n_read, i);
#endif
    microgpt_normalize(x, x, MICROGPT_WIDTH);
    for (int layer = 0; layer < MICROGPT_LAYERS; layer++) {
        const microgpt_layer *weights = &microgpt_layers[layer];
        float *key = state->keys[layer][state->n_read];
        microgpt_normalize(in, x, MICROGPT_WIDTH);
        microgpt_linear(state->query, &weights->wq, in);
        microgpt_linear(key, &weights->wk, in);
        microgpt_linear(state->values[layer][state->n_read], &weights->wv, in);
        if (MICROGPT_ROTARY) {
            microgpt_rotate(state, state->query);
            microgpt_rotate(state, key);
        }
        microgpt_attend(state, layer);
        for (int i = 0; i < MICROGPT_WIDTH; i++) x[i] += microgpt_dot(&weights->wo, i, state->out);
        microgpt_normalize(in, x, MICROGPT_WIDTH);
#if MICROGPT_TOKEN_SHIFT
        memcpy(state->out, in, sizeof state->out);
        memcpy(in, state->last_input[layer], MICROGPT_WIDTH / 2 * sizeof(float));
        memcpy(state->last_input[layer], state->out, sizeof state->out);
#endif
        microgpt_linear(state->hidden, &weights->fc1, in);
        for (int i = 0; i < MICROGPT_HIDDEN; i++) {
            float positive = state->hidden[i] > 0 ? state->hidden[i] : 0;
            state->hidden[i] = MICROGPT_ROTARY ? positive * positive : positive;
        }
        for (int i = 0; i < MICROGPT_WIDTH; i++) x[i] += microgpt_dot(&weights->fc2, i, state->hidden);
    }
    if (MICROGPT_ROTARY) microgpt_normalize(x, x, MICROGPT_WIDTH);
    microgpt_linear(state->logits, &microgpt_lm_head, x);
    state->n_read++;
}

/* Python's random number generator, the Mersenne Twister (Matsumoto & Nishimura 1998). */
typedef struct {
    uint32_t words[624];
    int n_used;
} microgpt_random;

static inline void microgpt_seed(microgpt_random *random, uint64_t seed) {
    uint32_t *words = random->words, key[2] = {(uint32_t)seed, (uint32_t)(seed >> 32)};
    uint32_t n_keys = key[1] ? 2 : 1, i, k;
    words[0] = 19650218;
    for (i = 1; i < 624; i++) words[i] = 1812433253u * (words[i - 1] ^ words[i - 1] >> 30) + i;
    for (i = 1, k = 0; k < 624; k++) {
        words[i] = (words[i] ^ (words[i - 1] ^ words[i - 1] >> 30) * 1664525u);
        words[i] += key[k % n_keys] + k % n_keys;
        if (++i == 624) words[0] = words[623], i = 1;
    }
    for (k = 0; k < 623; k++) {
        words[i] = (words[i] ^ (words[i - 1] ^ words[i - 1] >> 30) * 1566083941u) - i;
        if (++i == 624) words[0] = words[623], i = 1;
    }
    words[0] = 0x80000000u;
    random->n_used = 624;
}

static inline uint32_t microgpt_word(microgpt_random *random) {
    uint32_t *words = random->words;
    if (random->n_used == 624) {
        for (int i = 0; i < 624; i++) {
            uint32_t y = (words[i] & 0x80000000u) | (words[(i + 1) % 624] & 0x7fffffffu);
            words[i] = words[(i + 397) % 624] ^ y >> 1 ^ (y & 1 ? 0x9908b0dfu : 0);
        }
        random->n_used = 0;
    }
    uint32_t y = words[random->n_used++];
    y ^= y >> 11;
    y ^= y << 7 & 0x9d2c5680u;
    y ^= y << 15 & 0xefc60000u;
    return y ^ y >> 18;
}

/* Sample the next token as microgpt does; a temperature of 0 selects the most likely one. */
static inline int microgpt_sample(
    const microgpt_state *state, microgpt_random *random, double temperature) {
    const float *logits = state->logits;
    int best = 0, last = 0;
    for (int i = 1; i < MICROGPT_VOCAB; i++)
        if (logits[i] > logits[best]) best = i;
    if (temperature <= 0) return best;
    double total = 0, sum = 0, high = microgpt_word(random) >> 5, low = microgpt_word(random) >> 6;
    double point = (high * 67108864 + low) / 9007199254740992.0; /* in [0, 1) */
    for (int i = 0; i < MICROGPT_VOCAB; i++)
        total += exp(((double)logits[i] - logits[best]) / temperature);
    for (int i = 0; i < MICROGPT_VOCAB; i++) {
        double share = exp(((double)logits[i] - logits[best]) / temperature) / total;
        if (share > 0) last = i;
        if ((sum += share) > point) return i;
    }
    return last;
}

/* Print the character of a token as UTF-8; a special token has none. */
static inline void microgpt_print(int token) {
    if (token >= MICROGPT_PIECES) return;
    uint32_t c = microgpt_chars[token];
    int more = c < 0x80 ? 0 : c < 0x800 ? 1 : c < 0x10000 ? 2 : 3;
    putchar((int)(more ? (0xff00u >> (more + 1) & 0xffu) | c >> 6 * more : c));
    while (more--) putchar((int)(0x80u | (c >> 6 * more & 0x3fu)));
}

/* Return the token of a text's first character, or -1 if it is unknown; advance past it. */
static inline int microgpt_token(const char **text) {
    const unsigned char *bytes = (const unsigned char *)*text;
    uint32_t c = *bytes++;
    int more = c < 0xc0 ? 0 : c < 0xe0 ? 1 : c < 0xf0 ? 2 : 3;
    if (more) c &= 0x3fu >> more;
    for (; more && (*bytes & 0xc0) == 0x80; more--) c = c << 6 | (*bytes++ & 0x3f);
    *text = (const char *)bytes;
    for (int token = 0; token < MICROGPT_PIECES; token++)
        if (microgpt_chars[token] == c) return token;
    return -1;
}

#endif

#ifndef MICROGPT_NO_MAIN
static microgpt_state microgpt_main_state;
static microgpt_random microgpt_main_random;

#if MICROGPT_CHAT
#define MICROGPT_ARGUMENTS "[temperature] [seed]"
#else
#define MICROGPT_ARGUMENTS "[number of texts] [temperature] [seed] [prompt]"
#endif

/* Return argument i as a number, or `missing` if there are fewer; exit if it is not a number. */
static double microgpt_argument(int n, char **arguments, int i, double least, double missing) {
    char *end = NULL;
    double number = i < n ? strtod(arguments[i], &end) : missing;
    if (i < n && (end == arguments[i] || *end || !(number >= least && number <= 9e15))) {
        fprintf(stderr, "error: argument %d must be a number from %g to 9e15, got \"%s\"\n"
            "usage: %s " MICROGPT_ARGUMENTS "\n", i, least, arguments[i], arguments[0]);
        exit(2);
    }
    return number;
}

#if MICROGPT_CHAT
/* Reply to each line of standard input. */
int main(int n, char **arguments) {
    static char line[4096];
    microgpt_state *state = &microgpt_main_state;
    double temperature = microgpt_argument(n, arguments, 1, 0, 0.5);
    uint64_t seed = (uint64_t)microgpt_argument(n, arguments, 2, 0, 42);
    int token;
    for (; fgets(line, sizeof line, stdin); seed++) {
        line[strcspn(line, "\r\n")] = 0;
        if (state->n_read + (int)strlen(line) + 8 > MICROGPT_CONTEXT || !state->n_read) {
            memset(state, 0, sizeof *state); /* start a new conversation */
            microgpt_next(state, MICROGPT_BOS);
        }
        microgpt_next(state, MICROGPT_USER);
        for (const char *text = line; *text && state->n_read < MICROGPT_CONTEXT - 4;) {
            const char *start = text;
            if ((token = microgpt_token(&text)) < 0 && *start >= 'A' && *start <= 'Z') {
                char lower[2] = {(char)(*start + 32), 0}; /* unknown: try lower case */
                const char *other = lower;
                token = microgpt_token(&other);
            }
            if (token >= 0) microgpt_next(state, token);
        }
        microgpt_next(state, MICROGPT_END_TURN);
        microgpt_next(state, MICROGPT_ASSISTANT);
        microgpt_seed(&microgpt_main_random, seed);
        state->logits[MICROGPT_END_TURN] = -INFINITY; /* a reply has at least one character */
        for (;;) {
            for (token = MICROGPT_PIECES; token < MICROGPT_VOCAB; token++)
                if (token != MICROGPT_END_TURN) state->logits[token] = -INFINITY;
            token = microgpt_sample(state, &microgpt_main_random, temperature);
            if (token == MICROGPT_END_TURN) break;
            microgpt_print(token);
            if (state->n_read == MICROGPT_CONTEXT) break;
            microgpt_next(state, token);
        }
        if (state->n_read < MICROGPT_CONTEXT) microgpt_next(state, MICROGPT_END_TURN);
        putchar('\n');
        fflush(stdout);
    }
    return 0;
}
#else
/* Print texts. */
int main(int n, char **arguments) {
    microgpt_state *state = &microgpt_main_state;
    long long n_texts = (long long)microgpt_argument(n, arguments, 1, 1, 20);
    double temperature = microgpt_argument(n, arguments, 2, 0, 0.5);
    uint64_t seed = (uint64_t)microgpt_argument(n, arguments, 3, 0, 42);
    int token;
    for (long long i = 1; i <= n_texts; i++, seed++) {
        memset(state, 0, sizeof *state);
        microgpt_seed(&microgpt_main_random, seed);
        microgpt_next(state, MICROGPT_BOS);
        const char *prompt = n > 4 ? arguments[4] : "";
        for (const char *text = prompt; *text;) {
            if ((token = microgpt_token(&text)) < 0 || state->n_read == MICROGPT_CONTEXT)
                return fputs("error: the prompt is too long or has an unknown character\n", stderr), 2;
            microgpt_next(state, token);
        }
        printf("sample %2lld: %s", i, prompt);
        for (;;) {
            token = microgpt_sample(state, &microgpt_main_random, temperature);
            if (token >= MICROGPT_PIECES) break;
            microgpt_print(token);
            if (state->n_read == MICROGPT_CONTEXT) break;
            microgpt_next(state, token);
        }
        putchar('\n');
    }
    return 0;
}
#endif
#endif
