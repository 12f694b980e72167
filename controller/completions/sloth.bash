# SPDX-License-Identifier: MIT
# bash: commands and flags as `sloth help` and `sloth COMMAND --help` list them, agents by name.

_sloth() {
	local sloth=${COMP_WORDS[0]} command=${COMP_WORDS[1]-} word=${COMP_WORDS[COMP_CWORD]} words

	if [ "$COMP_CWORD" -eq 1 ]; then
		words=$("$sloth" help 2>/dev/null | sed -n 's/^  sloth \([a-z]*\) .*/\1/p')
		words="$words help"
	elif [[ $word == -* ]]; then
		words=$("$sloth" "$command" --help 2>/dev/null |
			sed -n 's/^  \(-., \|    \)\(--[a-z-]*\).*/\2/p')
	else
		words=$("$sloth" agents -o plain 2>/dev/null | awk 'NR > 1 { print $1 }')
		words="$words local @all"
	fi
	# shellcheck disable=SC2207 # no word has blanks in it
	COMPREPLY=($(compgen -W "$words" -- "$word"))
}

# What is none of these is a file.
complete -o default -F _sloth sloth
