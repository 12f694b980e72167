#!/usr/bin/env escript
%% SPDX-License-Identifier: MIT
%% What Erlang's processes cost: the same as tests/bench/cases, without Lua.
-mode(compile).

main([Text]) ->
    Scale = list_to_float(Text),
    N = round(20000 * Scale),
    say("erlang_spawn_run_join_us", us(fun() -> join(N) end) / N),
    say("erlang_await_us", us(fun() -> await(N) end) / N),
    say("erlang_pool_tasks_per_s", 5 * N * 1.0e6 / us(fun() -> pool(5 * N) end)),
    say("erlang_sleepers_extra_ms", us(fun() -> sleepers(N div 2) end) / 1000 - 2000).

say(Name, Value) -> io:format("~s ~.3f~n", [Name, float(Value)]).

us(F) ->
    {Us, _} = timer:tc(F),
    Us.

gather(0) -> ok;
gather(N) ->
    receive
        done -> gather(N - 1)
    end.

join(N) ->
    Me = self(),
    Body = fun() ->
        _ = "web-01" ++ integer_to_list(42),
        Me ! done
    end,
    [spawn(Body) || _ <- lists:seq(1, N)],
    gather(N).

await(0) -> ok;
await(N) ->
    Me = self(),
    spawn(fun() -> Me ! done end),
    gather(1),
    await(N - 1).

worker(Me) ->
    receive
        {task, Task} ->
            Task(),
            Me ! done,
            worker(Me);
        stop -> ok
    end.

pool(N) ->
    Me = self(),
    Workers = list_to_tuple([spawn(fun() -> worker(Me) end) || _ <- lists:seq(1, 4)]),
    [element(I rem 4 + 1, Workers) ! {task, fun() -> I end} || I <- lists:seq(1, N)],
    gather(N),
    [W ! stop || W <- tuple_to_list(Workers)].

sleepers(N) ->
    Me = self(),
    [spawn(fun() -> timer:sleep(2000), Me ! done end) || _ <- lists:seq(1, N)],
    gather(N).
