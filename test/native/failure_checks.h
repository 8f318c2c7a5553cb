#pragma once

/// Reports whether errors of libraries get the codes and words that they should have.
void check_failures();
