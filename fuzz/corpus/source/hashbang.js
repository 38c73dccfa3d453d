#!/usr/bin/env node
exit()