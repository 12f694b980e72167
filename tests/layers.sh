#!/bin/sh
# SPDX-License-Identifier: MIT
# The house rules of the include graph. Prints each line that breaks one; exits 1 if any does.
cd "$(dirname "$0")/.." || exit 2
broken=0

# may FOLDER FOLDER...: the project's headers that the first folder may include
may() {
	from=$1
	[ -d "$from" ] || return 0
	allowed=$(IFS='|' && echo "$*")
	grep -rnE '^#include "' --include='*.[ch]' "$from" |
		grep -vE "#include \"($allowed)/" && broken=1
}

# only HEADERS PLACE...: a library that the files whose path begins with PLACE alone include
only() {
	headers=$1
	shift
	places=$(IFS='|' && echo "$*")
	grep -rnE "^#include <($headers)" --include='*.[ch]' common proto lua agent controller 2>/dev/null |
		grep -vE "^($places)" && broken=1
}

may common
may proto common
may lua common
may lua/code common
may lua/workflow common lua/code lua/modules lua/state lua/transfer
may agent common proto lua
may controller common proto lua
only 'msgpack|nng/|sodium' proto/
only 'lua\.h|lauxlib\.h|lualib\.h' lua/
only 'curl/' lua/modules/http lua/modules/curl_library
only 'event2/' agent/loop lua/schedule/reactor
only 'yaml\.h' controller/ agent/config
only 'jansson\.h' controller/ lua/modules/json
exit $broken
