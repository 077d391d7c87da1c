-- KEYS: index. ARGV: member, when it counts no more. Of a cluster alone.
enter(KEYS[1], ARGV[1], ARGV[2])
return 1
