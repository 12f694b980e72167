/* SPDX-License-Identifier: MIT */
#include "common/standard_files.h"

#include <fcntl.h>
#include <unistd.h>

bool sl_standard_files_open(void)
{
	int fd;

	/* What is opened gets the lowest number that is free. */
	do
		fd = open("/dev/null", O_RDWR);
	while (fd >= 0 && fd <= STDERR_FILENO);
	if (fd >= 0)
		close(fd);
	return fd >= 0;
}
