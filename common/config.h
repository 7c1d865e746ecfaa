// The shapes of real models, by name.

#ifndef CONFIG_H
#define CONFIG_H

typedef struct {
    const char *name;
    long layers, hidden, heads, kv_heads;
    long head_dim;   // its own number: hidden / heads is a habit, not a law (Qwen3-4B)
    long context;    // the longest sequence it was trained for
    double parameters;
} Config;

// NULL when there is no such name.
const Config *config_find(const char *name);

// The i-th of the table, NULL past the last.
const Config *config_at(int i);

#endif
