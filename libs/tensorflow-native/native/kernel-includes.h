// What the kernels include. It comes before their target pragma: inline functions of the standard library must not be
// compiled for instructions that the processor may lack.
#pragma once
#include <algorithm>
#include <cmath>
#include <cstddef>
#include <type_traits>
#include <vector>

#include "buffer.h"
#include "norm.h"
#include "thread-pool.h"
#include "winograd.h"
