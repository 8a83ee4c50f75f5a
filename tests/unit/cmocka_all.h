/* What every cmocka test must include before cmocka.h. */
#ifndef KEYDIR_CMOCKA_ALL_H
#define KEYDIR_CMOCKA_ALL_H

/* clang-format off: the order matters */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
/* clang-format on */

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))

#endif
