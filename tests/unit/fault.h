/* Faults as inputs: the Nth allocation fails. For tests that are linked with
 * -Wl,--wrap=malloc,--wrap=calloc,--wrap=realloc (a LINK comment in the test). */
#ifndef KEYDIR_TEST_FAULT_H
#define KEYDIR_TEST_FAULT_H

/* The Nth allocation from now on fails (1: the next one), once; 0: none does. */
void fault_alloc(unsigned long n);
/* Ends it; returns how many allocations were made since fault_alloc(). */
unsigned long fault_end(void);

#endif
