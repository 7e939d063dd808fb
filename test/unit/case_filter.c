/*
 * One case of a unit program by name: build/release/test/test_url 'test_parse*'.  Linked into every
 * unit program, whose main() knows nothing of it (-Wl,--wrap in the Makefile).
 */
#include <fnmatch.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

#include <cmocka.h>

int __real__cmocka_run_group_tests(const char *group, const struct CMUnitTest *tests, size_t count,
                                   CMFixtureFunction setup, CMFixtureFunction teardown);
int __wrap__cmocka_run_group_tests(const char *group, const struct CMUnitTest *tests, size_t count,
                                   CMFixtureFunction setup, CMFixtureFunction teardown);

static const char *pattern; /* Borrowed from argv; NULL: all cases */

/* glibc gives constructors the arguments of main(). */
__attribute__((constructor)) static void pattern_from_arguments(int argc, char **argv)
{
    if (argc > 1)
        pattern = argv[1];
}

/* cmocka calls a run without any case a success: a mistyped name must be none. */
int __wrap__cmocka_run_group_tests(const char *group, const struct CMUnitTest *tests, size_t count,
                                   CMFixtureFunction setup, CMFixtureFunction teardown)
{
    size_t matches = 0;
    for (size_t i = 0; pattern != NULL && i < count; i++)
        matches += fnmatch(pattern, tests[i].name, 0) == 0;
    if (pattern != NULL && matches == 0) {
        (void)fprintf(stderr, "%s: no case is named %s; there are:\n", group, pattern);
        for (size_t i = 0; i < count; i++)
            (void)fprintf(stderr, "  %s\n", tests[i].name);
        return 1;
    }
    if (pattern != NULL)
        cmocka_set_test_filter(pattern);
    return __real__cmocka_run_group_tests(group, tests, count, setup, teardown);
}
