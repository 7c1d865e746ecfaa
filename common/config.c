#include "config.h"

#include <stddef.h>
#include <string.h>

// From the models' papers and published configurations: GPT-2 (Radford et al. 2019), LLaMA
// (arXiv 2302.13971), Llama 2 (2307.09288), Mistral 7B (2310.06825), Qwen2.5 (2412.15115).
// LLaMA-70B is Llama-2-70B, the first of the family with grouped heads.
static const Config configs[] = {
    //  name           layers hidden heads kv_heads head_dim context parameters
    {"gpt2-small",     12,    768,   12,   12,      64,      1024,   124.4e6},
    {"gpt2-large",     36,    1280,  20,   20,      64,      1024,   774.0e6},
    {"llama-7b",       32,    4096,  32,   32,      128,     2048,   6.74e9},
    {"llama-70b",      80,    8192,  64,   8,       128,     4096,   68.98e9},
    {"mistral-7b",     32,    4096,  32,   8,       128,     32768,  7.24e9},
    {"qwen2.5-0.5b",   24,    896,   14,   2,       64,      32768,  494.0e6},
};

const Config *config_at(int i)
{
    return i >= 0 && (size_t)i < sizeof configs / sizeof *configs ? &configs[i] : NULL;
}

const Config *config_find(const char *name)
{
    for (int i = 0; config_at(i); i++)
        if (strcmp(config_at(i)->name, name) == 0)
            return config_at(i);
    return NULL;
}
