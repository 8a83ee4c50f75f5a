/* Allocation faults: make the Nth allocation fail. For tests linked with
 * -Wl,--wrap=malloc,--wrap=calloc,--wrap=realloc (a LINK comment in the test). */
#ifndef KEYDIR_TEST_FAULT_H
#define KEYDIR_TEST_FAULT_H

/* Make the Nth allocation from now on fail (1: the next one), once. 0: none fails. */
void fault_alloc(unsigned long n);
/* Stop injecting faults; return the number of allocations since fault_alloc(). */
unsigned long fault_end(void);

#endif
