/* SPDX-License-Identifier: MIT */
#include "common/tally.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "common/error.h"

/* More than a task can have counted: what goes over is nonsense, which must not make a sum of
 * all tasks run over. */
#define MOST ((uint64_t)1 << 48)

int sl_tally_make(int *out_fd, struct sl_error *err)
{
	int fd = memfd_create("sloth-tally", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	int result;

	if (fd < 0)
		return sl_fail_errno(err, errno, "cannot make a tally");
	/* Who reads what another process has cut off dies of it. */
	if (ftruncate(fd, sizeof(struct sl_tally)) == 0 &&
		fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) == 0) {
		*out_fd = fd;
		return 0;
	}
	result = sl_fail_errno(err, errno, "cannot make a tally");
	close(fd);
	return result;
}

struct sl_tally *sl_tally_map(int fd, bool writable)
{
	void *at = mmap(NULL, sizeof(struct sl_tally), PROT_READ | (writable ? PROT_WRITE : 0),
		MAP_SHARED, fd, 0);

	return at == MAP_FAILED ? NULL : at;
}

void sl_tally_unmap(struct sl_tally *tally)
{
	if (tally)
		munmap(tally, sizeof(*tally));
}

void sl_tally_part(struct sl_tally *tally)
{
	/* Failing, it would go on to count for the task: better nothing than that. */
	if (mmap(tally, sizeof(*tally), PROT_READ | PROT_WRITE,
		    MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) == MAP_FAILED)
		_exit(1);
}

void sl_tally_sum(struct sl_tally_sum *sum, const struct sl_tally *tally,
	enum sl_tally_item first, enum sl_tally_item end)
{
	for (unsigned item = first; item < end; item++) {
		uint64_t value = sl_tally_get(tally, item);

		sum->items[item] += value < MOST ? value : MOST;
	}
}
