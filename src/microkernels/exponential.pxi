# Exponential of a vec: e^x with an error of at most 2 units in the last place.
#
#   e^x = 2^n * e^r,   n = floor(x / ln 2),   r = x - n ln 2,   0 <= r <= ln 2
#   e^r = 1 + r * (1 + r * (c2 + r * (c3 + r * (c4 + r * (c5 + r * c6)))))
#
# n.    A float from 2^23 on has no digits behind the point. So (t + 1.5 * 2^23) - 1.5 * 2^23 is the
#       whole number nearest to t = x / ln 2 - 1/2, which is the floor; a tie may go either way.
# r.    ln 2 is the sum of two floats. The first has 16 bits, so n times it is exact: |n| has 8.
# e^r.  These coefficients make the largest relative error smallest: 0.05 * 2^-24.
# 2^n.  n runs from -127 to 128. The ends give 0 and infinity, so e^x is 0 below 2^-126 and infinite
#       beyond the largest float, and x need only be clamped so that n stays between the ends.
#
# The result y of every x, NaN apart, has
#
#   |y - e^x| <= 2^-23 e^x + 2^-126
#
# where 2^-126 is for numbers that count as zero: results with FMA, the product s q r without it.
# All floats with |x| > 2^-30 were compared with float64. With FMA a normal result is off by at most
# 1.57 units in the last place. NaN gives NaN, and e^0 is 1.
#
# Each line below is one operation, and each product that is added is written as vec_fma. The last
# one is, too, so that a sum of the caller cannot fuse with it. So there is one way to round, and
# all instruction sets with FMA give the same bits.

cdef inline vec exponential(vec x) noexcept nogil:
    """Return e^x."""
    cdef vec n, r, q, s
    x = vec_max(vec_fill(-88), vec_min(vec_fill(89), x))
    n = vec_fma(x, vec_fill(1.44269504), vec_fill(-0.5))                    # x / ln 2 - 1/2
    n = vec_sub(vec_add(n, vec_fill(12582912)), vec_fill(12582912))
    r = vec_fma(n, vec_fill(-0.693145751953125), x)
    r = vec_fma(n, vec_fill(-1.42860677e-6), r)
    q = vec_fma(r, vec_fill(0.00191248623), vec_fill(0.00786842778))        # c6, c5
    q = vec_fma(r, q, vec_fill(0.0418549813))
    q = vec_fma(r, q, vec_fill(0.166631907))
    q = vec_fma(r, q, vec_fill(0.500002265))
    q = vec_fma(r, q, vec_fill(1))
    s = vec_power_of_two(n)
    return vec_fma(vec_mul(s, q), r, s)
