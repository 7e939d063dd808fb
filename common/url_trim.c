#include "common/url_trim.h"

#include <string.h>
#include <strings.h>

/* In UTF-8, and as browsers percent-encode them. */
static const char *const spaces[] = {
    " ",      "\t",     "\n",     "\v",        "\f",        "\r",        "%20",
    "%09",    "%0A",    "%0B",    "%0C",       "%0D",       "\u00a0",    "\u3000",
    "\u200b", "\ufeff", "%C2%A0", "%E3%80%80", "%E2%80%8B", "%EF%BB%BF", NULL,
};

static const char *const quotes[] = {
    "\"",        "`",         "<",         ">",         "\u201c", "\u201d", "\u201e", "\u2018",
    "\u2019",    "\u00ab",    "\u00bb",    "%22",       "%60",    "%3C",    "%3E",    "%E2%80%9C",
    "%E2%80%9D", "%E2%80%9E", "%E2%80%98", "%E2%80%99", "%C2%AB", "%C2%BB", NULL,
};

static const char *const apostrophes[] = {"'", "%27", NULL};

/* The length of the word that s begins with, or ends with; 0: none of them. */
static size_t find_word(struct span s, const char *const *words, bool encoded, bool at_end)
{
    for (size_t i = 0; words[i] != NULL; i++) {
        size_t len = strlen(words[i]);
        if (words[i][0] == '%' && !encoded)
            continue;
        if (len <= s.len && strncasecmp(at_end ? s.at + s.len - len : s.at, words[i], len) == 0)
            return len;
    }
    return 0;
}

static bool take_front(struct span *s, const char *const *words, bool encoded)
{
    size_t len = find_word(*s, words, encoded, false);
    s->at += len;
    s->len -= len;
    return len > 0;
}

static bool take_end(struct span *s, const char *const *words, bool encoded)
{
    size_t len = find_word(*s, words, encoded, true);
    s->len -= len;
    return len > 0;
}

struct span url_trim_space(struct span s, bool encoded)
{
    while (take_front(&s, spaces, encoded))
        ;
    while (take_end(&s, spaces, encoded))
        ;
    return s;
}

/* One alone may be a part of the URL. */
static bool take_pair(struct span *s, const char *const *words, bool encoded)
{
    struct span inner = *s;
    if (!take_front(&inner, words, encoded) || !take_end(&inner, words, encoded))
        return false;
    *s = inner;
    return true;
}

struct span url_trim(struct span s, bool encoded)
{
    do {
        s = url_trim_space(s, encoded);
    } while (take_pair(&s, quotes, encoded) || take_pair(&s, apostrophes, encoded));
    return s;
}
