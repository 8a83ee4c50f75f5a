/* hold_writer: keep a store's write transaction, as a process does that was stopped in it.
 *
 *     hold_writer DIR
 *
 * Prints "held" once it has it, and keeps it until it is killed. */
#include "common/store/store.h"
#include "common/store/txn.h"

#include <stdio.h>
#include <unistd.h>

int main(int argc, char **argv)
{
	struct store_config config = { 0 };
	struct store *store;
	struct txn *txn;
	char why[600] = "";

	if (argc != 2) {
		fprintf(stderr, "usage: hold_writer DIR\n");
		return 2;
	}
	config.dir = argv[1];
	if (store_open(&config, &store, why, sizeof(why)) || txn_write(store, &txn)) {
		fprintf(stderr, "hold_writer: %s\n", why);
		return 1;
	}
	puts("held");
	fflush(stdout);
	pause();
	return 0;
}
