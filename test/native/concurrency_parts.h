#pragma once

/// The core's parts that several threads use, each by itself.

void check_worker();
void check_buffers();
void check_switches();
void check_prefetch();
void check_files();
void check_creation();
