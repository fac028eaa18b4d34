"""Natural gradients with a Kronecker-factored Fisher information (paper (60)).

For a layer y = K x + b the Fisher information of (K, b) is E[(x x^T) (x) (g g^T)], x with a 1 appended and g the
gradient in y of the log-likelihood of labels that the model itself draws. The approximation takes the two for
independent,

    F ~ A (x) B,    A = E[x x^T],  B = E[g g^T],    F^-1 vec(G) = vec(B^-1 G A^-1)

which is exact for a network of one linear layer with Gaussian labels. EKFAC keeps the eigenbases U_A, U_B only and
measures the variance along each pair of axes anew, s_ij = E[(U_B^T g x^T U_A)_ij^2]: of all matrices that are diagonal
in this basis, the nearest to F.

A convolution applies its kernel at many places r, a linear layer to many tokens of a sequence:

    expand    A = E[mean_r x_r x_r^T],                    B = E[sum_r g_r g_r^T]         every place is an example
    reduce    A = E[u u^T],  u = mean_r x_r,              B = E[h h^T],  h = sum_r g_r   one map of the mean patch

The weights of an equivariant convolution are those of a plain one, K = E w: its gradient is lifted to K, preconditioned
there, and projected back.

Source: paper (60); Martens and Grosse (2015); Grosse and Martens (2016), for convolutions; George et al. (2018), for
EKFAC; Eschenhagen et al. (2023), for expand and reduce; Kunstner, Balles and Hennig (2019), on why the labels are the
model's own.
"""

from mvnet.optim.kfac.optimizer import EKFAC, KFAC

__all__ = ["EKFAC", "KFAC"]
