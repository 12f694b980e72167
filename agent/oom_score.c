/* SPDX-License-Identifier: MIT */
#include "agent/oom_score.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "common/log.h"

#define VOLUNTEER "500"

void sl_oom_score_init(struct sl_oom_score *out)
{
	ssize_t n;

	*out = (struct sl_oom_score){
		.fd = open("/proc/self/oom_score_adj", O_RDWR | O_CLOEXEC)};
	if (out->fd < 0)
		return;
	n = read(out->fd, out->usual, sizeof(out->usual) - 1);
	if (n <= 0)
		sl_oom_score_deinit(out);
	else
		out->usual[strcspn(out->usual, "\n")] = 0;
}

void sl_oom_score_deinit(struct sl_oom_score *score)
{
	if (score->fd >= 0)
		close(score->fd);
	score->fd = -1;
}

/* One that can't be changed now never can be. */
static void set(struct sl_oom_score *score, const char *text)
{
	ssize_t size = (ssize_t)strlen(text);

	if (score->fd < 0 || pwrite(score->fd, text, (size_t)size, 0) == size)
		return;
	sl_log(SL_LOG_DEBUG, "cannot set oom_score_adj to %s: %s", text, strerror(errno));
	sl_oom_score_deinit(score);
}

void sl_oom_score_volunteer(struct sl_oom_score *score)
{
	set(score, VOLUNTEER);
}

void sl_oom_score_recover(struct sl_oom_score *score)
{
	set(score, score->usual);
}
