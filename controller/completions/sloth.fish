# SPDX-License-Identifier: MIT
# fish: commands and flags as `sloth help` and `sloth COMMAND --help` list them, agents by name.

function __sloth_commands
    sloth help 2>/dev/null | string replace -rf '^  sloth ([a-z]+) +(.*)' '$1\t$2'
end

function __sloth_flags
    sloth (commandline -opc)[2] --help 2>/dev/null |
        string replace -rf '^  (?:-., |    )(--[a-z-]+)[A-Z= ]*  (.*)' '$1\t$2'
end

function __sloth_targets
    sloth agents -o plain 2>/dev/null | string replace -rf '^(\S+) .*' '$1' | tail -n +2
    echo local
    echo @all
end

complete -c sloth -f -n __fish_use_subcommand -a '(__sloth_commands)'
complete -c sloth -n 'not __fish_use_subcommand; and string match -q -- "-*" (commandline -ct)' \
    -a '(__sloth_flags)'
complete -c sloth -n 'not __fish_use_subcommand' -a '(__sloth_targets)'
